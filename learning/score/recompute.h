// What an auditor recomputes of a pass from its artifacts, bit for bit and without Torch, with the
// very functions the coordinator uses.
//
// With the updates: their digests, norms, clip factors, the next model and every E_i.
// With g (revealed at close): every D_i. From D and E alone: every φ_i (rational.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "learning/aggregate/fedavg.h"

namespace crowdteach::learning {

// A line of AGGREGATE, and where the update's file is.
struct RecordedUpdate {
  uint64_t account = 0;
  base::Hash digest{};
  uint64_t weight = 0;
  uint64_t clip_factor = 0;  // 0: not clipped
  base::UInt128 norm_squared = 0;
  std::string path;
};

struct RecordedAggregate {
  std::vector<RecordedUpdate> updates;
  unsigned scale_bits = 0;
  uint64_t norm_cap = 0;
  bool clips = true;  // false: norm_rule REJECT, so no recorded norm may exceed the cap
  base::Hash base_digest{};
  base::Hash model_digest{};
};

// Recomputes all of it; the next model is written to `next_path`. Returns what AggregateFedAvg
// did, E in account order.
// kDataLoss: an artifact, norm, clip factor or the next model is not what was recorded; the message
// names account, recorded and recomputed value. Else the errors of AggregateFedAvg and of files.
StatusOr<FedAvgResult> RecomputeAggregate(const RecordedAggregate& aggregate,
                                          const WeightsFormat& format, const std::string& base_path,
                                          const std::string& next_path, TileExecutor& executor);

// D_i in account order from the revealed artifact salt(32) ‖ int32 g. Needs the update files only.
// kDataLoss: the artifact's digest is not `gradient_digest`.
StatusOr<std::vector<base::Int128>> RecomputeGradientProducts(const RecordedAggregate& aggregate,
                                                              uint64_t parameters,
                                                              const base::Hash& gradient_digest,
                                                              const std::string& gradient_path,
                                                              TileExecutor& executor);

}  // namespace crowdteach::learning
