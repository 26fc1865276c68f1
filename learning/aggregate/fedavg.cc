#include "learning/aggregate/fedavg.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "learning/aggregate/kernels.h"
#include "learning/fixed_point.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

using base::Int128;

// What one thread needs for a tile, and its share of the integer sums.
struct Scratch {
  std::vector<int64_t> sums;
  std::vector<int32_t> values;
  std::vector<int32_t> mean;  // V
  std::vector<float> weights;
  std::vector<Int128> e;
  bool moved = false;  // some V != 0

  void Resize(size_t count) {
    sums.resize(count);
    values.resize(count);
    mean.resize(count);
    weights.resize(count);
  }
};

// A coordinate with V = 0 moves all the same (by less than half a unit), unless all have V = 0.
Status AggregateTile(const UpdateSet& updates, unsigned scale_bits, const TrainableFile& base,
                     const TrainableFile& next, uint64_t first, Scratch& scratch) {
  CT_RETURN_IF_ERROR(updates.ReadSum(first, scratch.sums, scratch.values));
  bool moved = false;
  for (size_t k = 0; k < scratch.sums.size(); ++k) {
    scratch.mean[k] =
        static_cast<int32_t>(RoundedQuotient(scratch.sums[k], updates.total_weight()));
    moved |= scratch.mean[k] != 0;
  }
  CT_RETURN_IF_ERROR(base.Read(first, scratch.weights));
  ApplyStep(scratch.sums, updates.total_weight(), scale_bits, scratch.weights);
  CT_RETURN_IF_ERROR(next.Write(first, scratch.weights));
  if (!moved) return OkStatus();
  scratch.moved = true;
  for (size_t i = 0; i < updates.size(); ++i) {
    CT_RETURN_IF_ERROR(updates.Read(i, first, scratch.values));
    scratch.e[i] += Dot(scratch.values, scratch.mean) * static_cast<Int128>(updates[i].weight);
  }
  return OkStatus();
}

Status CopyTrainable(const TrainableFile& from, const TrainableFile& to, TileExecutor& executor) {
  return executor.ForEachTile(TilesOf(from.count()), [&](uint64_t tile, unsigned) {
    std::vector<float> values(std::min(kTileValues, from.count() - tile * kTileValues));
    CT_RETURN_IF_ERROR(from.Read(tile * kTileValues, values));
    return to.Write(tile * kTileValues, values);
  });
}

StatusOr<FedAvgResult> WriteNext(const UpdateSet& updates, unsigned scale_bits,
                                 const TrainableFile& base, const std::string& next_path,
                                 TileExecutor& executor) {
  CT_ASSIGN_OR_RETURN(const TrainableFile next, TrainableFile::CreateLike(base, next_path));
  std::vector<Scratch> scratch(executor.threads());
  for (Scratch& s : scratch) s.e.resize(updates.size());
  CT_RETURN_IF_ERROR(executor.ForEachTile(updates.tiles(), [&](uint64_t tile, unsigned slot) {
    const uint64_t first = tile * kTileValues;
    scratch[slot].Resize(std::min(kTileValues, updates.parameters() - first));
    return AggregateTile(updates, scale_bits, base, next, first, scratch[slot]);
  }));
  FedAvgResult result;
  result.is_void = true;
  result.e.resize(updates.size());
  for (const Scratch& s : scratch) {
    result.is_void = result.is_void && !s.moved;
    for (size_t i = 0; i < updates.size(); ++i) result.e[i] += s.e[i];
  }
  if (result.is_void) CT_RETURN_IF_ERROR(CopyTrainable(base, next, executor));
  CT_RETURN_IF_ERROR(next.Sync());
  CT_ASSIGN_OR_RETURN(result.model_digest,
                      BlobDigestOfFile(base::BlobKind::kWeights, next_path, executor));
  return result;
}

}  // namespace

void ApplyStep(std::span<const int64_t> sums, uint64_t total_weight, unsigned scale_bits,
               std::span<float> values) {
  CT_ASSERT(sums.size() == values.size());
  const double unit = std::ldexp(static_cast<double>(total_weight), static_cast<int>(scale_bits));
  for (size_t k = 0; k < values.size(); ++k) {
    values[k] =
        static_cast<float>(static_cast<double>(values[k]) + static_cast<double>(sums[k]) / unit);
  }
}

StatusOr<FedAvgResult> AggregateFedAvg(const UpdateSet& updates, unsigned scale_bits,
                                       const WeightsFormat& format, const std::string& base_path,
                                       const std::string& next_path, TileExecutor& executor) {
  CT_ASSERT(scale_bits >= kMinScaleBits && scale_bits <= kMaxScaleBits);
  CT_ASSIGN_OR_RETURN(const TrainableFile base, TrainableFile::Open(base_path, format));
  if (base.count() != updates.parameters()) {
    return InvalidArgument("the updates have {} values, the model trains {}", updates.parameters(),
                           base.count());
  }
  StatusOr<FedAvgResult> result = WriteNext(updates, scale_bits, base, next_path, executor);
  if (!result.ok()) {
    std::error_code ignored;  // the first error is the one to tell
    std::filesystem::remove(next_path, ignored);
  }
  return result;
}

}  // namespace crowdteach::learning
