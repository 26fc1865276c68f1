#include "learning/layout.h"

namespace crowdteach::learning {

std::vector<TrainableRun> Layout::TrainableRuns() const {
  std::vector<TrainableRun> runs;
  uint64_t update_begin = 0;
  for (const Tensor& tensor : tensors) {
    if (!tensor.trainable || tensor.count == 0) continue;
    if (!runs.empty() && runs.back().begin + runs.back().count == tensor.offset) {
      runs.back().count += tensor.count;
    } else {
      runs.push_back({tensor.offset, update_begin, tensor.count});
    }
    update_begin += tensor.count;
  }
  return runs;
}

}  // namespace crowdteach::learning
