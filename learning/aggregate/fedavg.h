// Federated averaging (McMahan et al. 2017) in exact integers.
//
//   S_k = Σ m_i·q_ik (int64), N = Σ m_i,
//   w'_k = float32(double(w_k) + double(S_k) / (double(N)·2^s)), IEEE double, ties to even.
//
// The next model is bit-identical for any arrival order, number of threads and machine;
// scripts/recompute_model.py recomputes it with Python's standard library.
// With V = round-half-even(S / N) (int32: a convex combination of int32), the step is *void* if
// V = 0 in every coordinate: the next model is then the base.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "learning/aggregate/tile_executor.h"
#include "learning/aggregate/trainable_file.h"
#include "learning/aggregate/update_set.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "proto/base/wide.h"

namespace crowdteach::learning {

struct FedAvgResult {
  base::Hash model_digest{};  // blob digest (kWeights) of the file written
  bool is_void = false;
  std::vector<base::Int128> e;  // E_i = ⟨m_i·q_i, V⟩, in the order of the update set
};

// Writes the next canonical weights file to `next_path` (replacing it; synced; removed on error):
// the base's header and frozen values, and the new trainable values. Two passes over each tile,
// the second for E, while it is in the page cache.
// kInvalidArgument: base is not of `format`, or the updates are not of its size; else the errors of
// reading and writing (File, TileSource).
StatusOr<FedAvgResult> AggregateFedAvg(const UpdateSet& updates, unsigned scale_bits,
                                       const WeightsFormat& format, const std::string& base_path,
                                       const std::string& next_path, TileExecutor& executor);

// values[k] := float32(double(values[k]) + double(sums[k]) / (double(total_weight)·2^scale_bits)).
void ApplyStep(std::span<const int64_t> sums, uint64_t total_weight, unsigned scale_bits,
               std::span<float> values);

}  // namespace crowdteach::learning
