// A model's first weights: deterministic from a seed, without Torch.
//
// The distributions are PyTorch's defaults: Linear and Conv2d weights by He's uniform rule with
// a = √5 (He et al. 2015, arXiv:1502.01852), which comes to U(−b, b) with b = 1/√fan_in; their
// biases U(−b, b) with the same b; GroupNorm weight 1 and bias 0. The loss then starts near
// ln(classes).
//
// The generator, for each tensor its own: xoshiro256++ (Blackman & Vigna 2021,
// doi:10.1145/3460772), whose four words are the big-endian quarters of
// SHA-256("crowdteach/v1/init\n" ‖ u64 seed ‖ tensor name). A draw takes the upper 24 bits k of the
// next output: the value is float32((k·2⁻²³ − 1)·b), computed in double.
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
