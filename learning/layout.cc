#include "learning/layout.h"

namespace crowdteach::learning {

std::vector<TrainableRun> Layout::TrainableRuns() const { return Runs(true); }
std::vector<TrainableRun> Layout::OptimisedRuns() const { return Runs(false); }

std::vector<TrainableRun> Layout::Runs(bool with_statistics) const {
  std::vector<TrainableRun> runs;
  uint64_t update_begin = 0;
  for (const Tensor& tensor : tensors) {
    if (!tensor.trainable || tensor.count == 0) continue;
    if (tensor.statistic && !with_statistics) {
      update_begin += tensor.count;
      continue;
    }
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
