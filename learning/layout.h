// The flat layout of a model: all its float32 values in one contiguous vector, by name.
//
// The order is that of the canonical safetensors file (tensor names sorted byte-wise), so a model's
// weights are one run of bytes in that file. An *update* covers the trainable tensors only, in the
// same order. Among them are *statistics*: a BatchNorm's running mean and variance, averaged and
// scored like weights, but moved in training by their layer and not by the optimiser.
// Plain values; thread-safe to read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crowdteach::learning {

struct Tensor {
  std::string name;  // the PyTorch state_dict name, e.g. "conv1.weight"
  std::vector<uint64_t> shape;
  uint64_t offset = 0;  // in floats, in the flat vector
  uint64_t count = 0;   // product of shape
  bool trainable = true;
  bool statistic = false;  // only if trainable
};

// Coordinates [begin, begin + count) of the flat vector that are coordinates
// [update_begin, update_begin + count) of an update: a run of neighbouring trainable tensors.
struct TrainableRun {
  uint64_t begin = 0;
  uint64_t update_begin = 0;
  uint64_t count = 0;
};

struct Layout {
  std::vector<Tensor> tensors;  // by name
  uint64_t total = 0;           // floats in all
  uint64_t trainable = 0;       // floats in an update

  // Maximal runs, in order; together they cover an update exactly.
  std::vector<TrainableRun> TrainableRuns() const;
  // The same without statistics: what the optimiser moves.
  std::vector<TrainableRun> OptimisedRuns() const;

 private:
  std::vector<TrainableRun> Runs(bool with_statistics) const;
};

}  // namespace crowdteach::learning
