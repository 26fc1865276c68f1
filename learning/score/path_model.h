// Models beside the base and the next one: coalitions of teachers, and points on the step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "learning/aggregate/tile_executor.h"
#include "learning/aggregate/trainable_file.h"
#include "learning/aggregate/update_set.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

// Writes float32(double(w) + t·(double(w') - double(w))), in the trainable coordinates, to `path`.
Status WritePointOnStep(const WeightsFormat& format, const std::string& base_path,
                        const std::string& next_path, double t, const std::string& path,
                        TileExecutor& executor);

// The fixed-weight coalition model w_S = float32(double(w) + double(Σ_{i∈S}
// m_i·q_i)/(double(N)·2^s)), N over all teachers; S is all of them: the next model, bit for bit.
// One update is added or taken out at a time, exactly; the int64 sums live in a file. Not
// thread-safe. Removes its files.
class CoalitionModel {
 public:
  // The empty coalition. Uses the files `work_path`.sums and `work_path`.model. `updates` and
  // `executor` outlive it. Errors of opening, reading and writing.
  static StatusOr<CoalitionModel> Make(const UpdateSet& updates, unsigned scale_bits,
                                       const WeightsFormat& format, const std::string& base_path,
                                       const std::string& work_path, TileExecutor& executor);
  CoalitionModel(CoalitionModel&&) = default;
  ~CoalitionModel();

  // Teacher i joins, or leaves if it was in.
  Status Flip(size_t i);
  // Brings the file model_path() up to date.
  Status Write() const;
  std::string model_path() const { return work_path_ + ".model"; }

 private:
  CoalitionModel(const UpdateSet& updates, unsigned scale_bits, TrainableFile base, File sums,
                 TrainableFile model, std::string work_path, TileExecutor& executor);

  const UpdateSet* updates_;
  unsigned scale_bits_;
  TrainableFile base_;
  File sums_;
  TrainableFile model_;
  std::string work_path_;
  TileExecutor* executor_;
  std::vector<bool> member_;
};

}  // namespace crowdteach::learning
