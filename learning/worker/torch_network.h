// A ModelSpec as a network of Torch tensors. Torch stays behind this header.
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

class TorchNetwork {
 public:
  // kResourceExhausted: no memory for weights and gradient.
  static StatusOr<std::unique_ptr<TorchNetwork>> Build(const ModelSpec& spec, const Layout& layout);
  ~TorchNetwork();

  std::span<float> weights();
  std::span<float> gradient();

  // Logits (batch × classes, row-major) of `inputs` (batch × input shape) in eval mode: no dropout,
  // no graph. kResourceExhausted: out of memory; kInternal: Torch refused.
  Status Logits(std::span<const float> inputs, uint64_t batch, std::span<float> logits);

  // Adds to gradient() that of scale · Σ cross-entropy over the batch; fills `logits` too.
  // `training` switches dropout on, and lets BatchNorm normalise by the batch and move its
  // statistics in weights(), which get no gradient then. Errors as Logits; the gradient is spoilt
  // then.
  Status Backward(std::span<const float> inputs, std::span<const int64_t> labels, double scale,
                  bool training, std::span<float> logits);

 private:
  struct State;
  explicit TorchNetwork(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace crowdteach::learning
