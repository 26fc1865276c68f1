// What scoring needs of a neural network: the validation loss at given weights, and its gradient.
//
// An oracle is made for one model and one validation set. Losses are means over the validation
// examples in nats, in eval mode (no dropout), summed in double in a fixed order.
//
// Block b of blocks() covers the examples [b·n/B, (b+1)·n/B) (integer division), n = examples(),
// B = blocks(). Every block holds at least one example, so B <= n; 16 to 32 blocks give a useful
// standard error.
//
// Not thread-safe: one call at a time. Calls block until the answer is there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/status.h"

namespace crowdteach::learning {

struct Evaluation {
  double loss_nats = 0;  // mean over all examples
  uint64_t correct = 0;  // examples whose largest logit is the label's
  std::vector<uint64_t> per_class_correct;
  std::vector<double> block_loss_nats;  // Gradient only: mean over each block's examples
  bool finite =
      true;  // loss (and, from Gradient, every gradient value) is neither NaN nor infinite
};

class LossOracle {
 public:
  virtual ~LossOracle() = default;

  virtual uint64_t examples() const = 0;
  virtual uint32_t blocks() const = 0;

  // Loss at the weights of a canonical safetensors file. A loss that is not finite is an answer
  // (`finite` = false), not an error.
  // kUnavailable: the worker died or stalled. kDeadlineExceeded: it took too long.
  // kInvalidArgument: the file is not of this model.
  virtual StatusOr<Evaluation> Evaluate(const std::string& weights_path) = 0;

  // The same, and writes blocks() × P float32 (little endian, block by block) to `gradient_path`,
  // replacing it: each block's gradient of that block's mean loss, over the P trainable
  // coordinates in update order (Layout::TrainableRuns). Errors as above, or those of writing.
  virtual StatusOr<Evaluation> Gradient(const std::string& weights_path,
                                        const std::string& gradient_path) = 0;
};

}  // namespace crowdteach::learning
