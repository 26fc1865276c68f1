// The updates of one aggregation pass, seen a tile at a time.
//
// No call holds a whole vector: memory depends neither on the model nor on the number of teachers.
// Immutable and thread-safe. Order: quantise -> cap (clip) -> weight -> sum -> score.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "learning/aggregate/tile_source.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

struct TeacherUpdate {
  uint64_t account = 0;
  base::Hash digest{};                       // of the update as uploaded
  uint64_t weight = 0;                       // m_i >= 1
  uint64_t clip_factor = 0;                  // f in units of 2^-32 (see norms.h); 0: not clipped
  std::shared_ptr<const TileSource> values;  // as uploaded
};

class UpdateSet {
 public:
  // Sorts by account, so arrival order is forgotten here.
  // kInvalidArgument: no teacher, an account twice, a weight of 0, a vector that has not
  // `parameters` values, a clip factor >= 2^32, more than 2^31 parameters, or Σ weights >= 2^32
  // (sums of int32 would not surely fit int64).
  static StatusOr<UpdateSet> Make(std::vector<TeacherUpdate> teachers, uint64_t parameters);

  size_t size() const { return teachers_.size(); }
  const TeacherUpdate& operator[](size_t i) const { return teachers_[i]; }
  const std::vector<TeacherUpdate>& teachers() const { return teachers_; }  // by account
  uint64_t parameters() const { return parameters_; }
  uint64_t tiles() const { return TilesOf(parameters_); }
  uint64_t total_weight() const { return total_weight_; }  // N

  // Values [first, first + out.size()) of teacher i after the clip. Errors of TileSource::Read.
  Status Read(size_t i, uint64_t first, std::span<int32_t> out) const;

  // sums[k] = Σ_i m_i·q_i[first + k]. `scratch` has the size of `sums`.
  Status ReadSum(uint64_t first, std::span<int64_t> sums, std::span<int32_t> scratch) const;

 private:
  UpdateSet() = default;

  std::vector<TeacherUpdate> teachers_;
  uint64_t parameters_ = 0;
  uint64_t total_weight_ = 0;
};

}  // namespace crowdteach::learning
