// A ModelSpec as a network of Torch tensors: of its layers, or of its TorchScript code. Torch stays
// behind this header.
//
// Weights and gradient are one flat vector each, in Layout order; the network's parameters are
// views of them. Frozen tensors get no gradient (zeros).
// Not thread-safe. One network at a time owns Torch's thread pool.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "learning/layout.h"
#include "learning/model/model_spec.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

// Uses so many threads, all started now. Before anything else, once.
Status StartTorch(int threads);
// Seeds the generator of dropout.
void SeedTorch(uint64_t seed);
const char* TorchVersion();

class NetworkState;

class TorchNetwork {
 public:
  // kResourceExhausted: no memory for weights and gradient.
  static StatusOr<std::unique_ptr<TorchNetwork>> Build(const ModelSpec& spec, const Layout& layout);
  // Of a model as code, from the open file of size spec.code->size_bytes. Loading runs its code.
  // kInvalidArgument: no TorchScript file, or its tensors are not the layout's.
  static StatusOr<std::unique_ptr<TorchNetwork>> Load(const ModelSpec& spec, const Layout& layout,
                                                      int code_fd);
  ~TorchNetwork();

  // Before each request: code may keep tensors that are not float32; they become as they were
  // loaded. What else it keeps is not undone.
  void Restart();

  std::span<float> weights();
  std::span<float> gradient();

  // Logits (batch × classes, row-major) of `inputs` (batch × input shape) in eval mode: no dropout,
  // no graph. kResourceExhausted: out of memory; kInvalidArgument: the model's code failed, or gave
  // other than logits; kInternal: Torch refused.
  Status Logits(std::span<const float> inputs, uint64_t batch, std::span<float> logits);

  // Adds to gradient() that of scale · Σ cross-entropy over the batch; fills `logits` too.
  // `training` switches dropout on, and lets BatchNorm normalise by the batch and move its
  // statistics in weights(), which get no gradient then. Errors as Logits; the gradient is spoilt
  // then.
  Status Backward(std::span<const float> inputs, std::span<const int64_t> labels, double scale,
                  bool training, std::span<float> logits);

 private:
  explicit TorchNetwork(std::unique_ptr<NetworkState> state);
  std::unique_ptr<NetworkState> state_;
};

}  // namespace crowdteach::learning
