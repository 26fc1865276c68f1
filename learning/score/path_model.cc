#include "learning/score/path_model.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "learning/aggregate/fedavg.h"
#include "learning/aggregate/kernels.h"

namespace crowdteach::learning {

Status WritePointOnStep(const WeightsFormat& format, const std::string& base_path,
                        const std::string& next_path, double t, const std::string& path,
                        TileExecutor& executor) {
  CT_ASSIGN_OR_RETURN(const TrainableFile base, TrainableFile::Open(base_path, format));
  CT_ASSIGN_OR_RETURN(const TrainableFile next, TrainableFile::Open(next_path, format));
  CT_ASSIGN_OR_RETURN(const TrainableFile out, TrainableFile::CreateLike(base, path));
  return executor.ForEachTile(TilesOf(base.count()), [&](uint64_t tile, unsigned) {
    const uint64_t first = tile * kTileValues;
    std::vector<float> from(std::min(kTileValues, base.count() - first));
    std::vector<float> to(from.size());
    CT_RETURN_IF_ERROR(base.Read(first, from));
    CT_RETURN_IF_ERROR(next.Read(first, to));
    for (size_t k = 0; k < from.size(); ++k) {
      const double w = static_cast<double>(from[k]);
      to[k] = static_cast<float>(w + t * (static_cast<double>(to[k]) - w));
    }
    return out.Write(first, to);
  });
}

StatusOr<CoalitionModel> CoalitionModel::Make(const UpdateSet& updates, unsigned scale_bits,
                                              const WeightsFormat& format,
                                              const std::string& base_path,
                                              const std::string& work_path,
                                              TileExecutor& executor) {
  CT_ASSIGN_OR_RETURN(TrainableFile base, TrainableFile::Open(base_path, format));
  CT_ASSIGN_OR_RETURN(File sums, File::Create(work_path + ".sums"));
  CT_RETURN_IF_ERROR(sums.Resize(updates.parameters() * sizeof(int64_t)));
  CT_ASSIGN_OR_RETURN(TrainableFile model, TrainableFile::CreateLike(base, work_path + ".model"));
  return CoalitionModel(updates, scale_bits, std::move(base), std::move(sums), std::move(model),
                        work_path, executor);
}

CoalitionModel::CoalitionModel(const UpdateSet& updates, unsigned scale_bits, TrainableFile base,
                               File sums, TrainableFile model, std::string work_path,
                               TileExecutor& executor)
    : updates_(&updates),
      scale_bits_(scale_bits),
      base_(std::move(base)),
      sums_(std::move(sums)),
      model_(std::move(model)),
      work_path_(std::move(work_path)),
      executor_(&executor),
      member_(updates.size()) {}

CoalitionModel::~CoalitionModel() {
  if (work_path_.empty()) return;  // moved from
  std::error_code ignored;         // a file left in the work folder harms nobody
  std::filesystem::remove(work_path_ + ".sums", ignored);
  std::filesystem::remove(work_path_ + ".model", ignored);
}

Status CoalitionModel::Flip(size_t i) {
  const auto weight = static_cast<int64_t>((*updates_)[i].weight);
  const int64_t sign = member_[i] ? -1 : 1;
  CT_RETURN_IF_ERROR(executor_->ForEachTile(updates_->tiles(), [&](uint64_t tile, unsigned) {
    const uint64_t first = tile * kTileValues;
    std::vector<int32_t> values(std::min(kTileValues, updates_->parameters() - first));
    std::vector<int64_t> sums(values.size());
    const uint64_t offset_bytes = first * sizeof(int64_t);
    const size_t size_bytes = sums.size() * sizeof(int64_t);
    CT_RETURN_IF_ERROR(sums_.ReadAt(offset_bytes, sums.data(), size_bytes));
    CT_RETURN_IF_ERROR(updates_->Read(i, first, values));
    AccumulateScaled(sign * weight, values, sums);
    return sums_.WriteAt(offset_bytes, sums.data(), size_bytes);
  }));
  member_[i] = !member_[i];
  return OkStatus();
}

Status CoalitionModel::Write() const {
  return executor_->ForEachTile(updates_->tiles(), [&](uint64_t tile, unsigned) {
    const uint64_t first = tile * kTileValues;
    std::vector<float> weights(std::min(kTileValues, updates_->parameters() - first));
    std::vector<int64_t> sums(weights.size());
    CT_RETURN_IF_ERROR(
        sums_.ReadAt(first * sizeof(int64_t), sums.data(), sums.size() * sizeof(int64_t)));
    CT_RETURN_IF_ERROR(base_.Read(first, weights));
    ApplyStep(sums, updates_->total_weight(), scale_bits_, weights);
    return model_.Write(first, weights);
  });
}

}  // namespace crowdteach::learning
