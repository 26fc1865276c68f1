// A model's first weights: deterministic from a seed, without Torch.
//
// The distributions are PyTorch's defaults (layer_*.cc say which for each tensor): Linear and
// convolution weights by He's uniform rule with a = √5 (He et al. 2015, arXiv:1502.01852), which
// comes to U(−b, b) with b = 1/√fan_in; their biases U(−b, b) with the same b; recurrent layers
// with b = 1/√hidden_size; attention's stacked projection by Xavier's uniform rule (Glorot & Bengio
// 2010); norms weight 1, bias 0, mean 0, variance 1; Embedding normal of deviation 1, but 0 in its
// padding row. A Parameter, which PyTorch leaves to its user, is normal of deviation 0.02. The loss
// then starts near ln(classes).
//
// The generator, for each tensor its own: xoshiro256++ (Blackman & Vigna 2021,
// doi:10.1145/3460772), whose four words are the big-endian quarters of
// SHA-256("crowdteach/v1/init\n" ‖ u64 seed ‖ tensor name). A draw takes the upper 24 bits k of the
// next output: the value is float32((k·2⁻²³ − 1)·b), computed in double. A normal value is half the
// sum of twelve such draws with b = 1 (the Irwin–Hall distribution), which needs no libm.
//
// A model as code does not say what its tensors are for: they are all U(-b, b) with fan_in the
// values of one output, and statistics 1, which serves to try it out, not to train it well.
//
// The owner makes first weights once and digests the file; nobody else derives them again.
#pragma once

#include <cstdint>
#include <string>

#include "learning/model/model_spec.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

// Writes a canonical safetensors file; the errors of WriteWeights. The bytes depend on the
// parameters' names and shapes and the seed alone. Thread-safe for different paths.
Status WriteFirstWeights(const std::string& path, const ModelSpec& spec, uint64_t seed);

}  // namespace crowdteach::learning
