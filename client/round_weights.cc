#include "client/round_weights.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "learning/aggregate/file.h"
#include "learning/aggregate/tile_source.h"
#include "learning/fixed_point.h"
#include "learning/model/safetensors.h"
#include "proto/base/assert.h"

namespace crowdteach::client {

StatusOr<RoundWeights> RoundWeights::Open(const std::string& path, const learning::Layout& layout) {
  StatusOr<learning::WeightsFile> file = learning::WeightsFile::Open(path, layout);
  Status read = file.status();
  if (read.ok()) read = learning::CheckFinite(*file, layout);
  if (absl::IsInvalidArgument(read)) {
    return DataLoss("the base model is not one of this campaign: {}", Message(read));
  }
  CT_RETURN_IF_ERROR(read);
  RoundWeights weights;
  weights.data_offset_bytes_ = file->data_offset();
  weights.count_ = file->count();
  weights.size_bytes_ = file->data_offset() + file->count() * sizeof(float);
  void* base = ::mmap(nullptr, weights.size_bytes_, PROT_READ, MAP_SHARED, file->fd(), 0);
  if (base == MAP_FAILED) return ErrnoStatus(errno, "mapping " + path);
  weights.base_ = base;
  void* trained =
      ::mmap(nullptr, weights.size_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE, file->fd(), 0);
  if (trained == MAP_FAILED) return ErrnoStatus(errno, "mapping " + path);
  weights.trained_ = trained;
  return weights;
}

RoundWeights::RoundWeights(RoundWeights&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      trained_(std::exchange(other.trained_, nullptr)),
      size_bytes_(other.size_bytes_),
      data_offset_bytes_(other.data_offset_bytes_),
      count_(other.count_) {}

RoundWeights::~RoundWeights() {
  for (void* mapping : {base_, trained_}) {
    if (mapping != nullptr) ::munmap(mapping, size_bytes_);
  }
}

std::span<const float> RoundWeights::base() const {
  return {reinterpret_cast<const float*>(static_cast<const char*>(base_) + data_offset_bytes_),
          count_};
}

std::span<float> RoundWeights::trained() const {
  return {reinterpret_cast<float*>(static_cast<char*>(trained_) + data_offset_bytes_), count_};
}

Status CheckTrained(const learning::Layout& layout, std::span<const float> base,
                    std::span<const float> trained) {
  CT_ASSERT(base.size() == layout.total && trained.size() == layout.total);
  for (const learning::Tensor& tensor : layout.tensors) {
    const std::span<const float> before = base.subspan(tensor.offset, tensor.count);
    const std::span<const float> after = trained.subspan(tensor.offset, tensor.count);
    if (!tensor.trainable) {
      if (std::memcmp(before.data(), after.data(), after.size_bytes()) == 0) continue;
      return Aborted(
          "the trainer changed tensor '{}', which is frozen in this campaign: write it as it was",
          tensor.name);
    }
    const auto bad =
        std::find_if(after.begin(), after.end(), [](float value) { return !std::isfinite(value); });
    if (bad != after.end()) {
      return Aborted("the trainer left the value {} in tensor '{}' at index {}", *bad, tensor.name,
                     bad - after.begin());
    }
  }
  return OkStatus();
}

StatusOr<UpdateSummary> WriteUpdate(const learning::Layout& layout, std::span<const float> base,
                                    std::span<const float> trained, unsigned scale_bits,
                                    const std::string& path) {
  CT_RETURN_IF_ERROR(CheckTrained(layout, base, trained));
  CT_ASSIGN_OR_RETURN(const auto file, learning::File::Create(path));
  std::vector<int32_t> values(learning::kTileValues);
  UpdateSummary summary;
  for (const learning::TrainableRun& run : layout.TrainableRuns()) {
    for (uint64_t done = 0; done < run.count; done += values.size()) {
      const std::span<int32_t> tile(values.data(),
                                    std::min<uint64_t>(values.size(), run.count - done));
      CT_ASSIGN_OR_RETURN(
          const learning::Quantised quantised,
          learning::Quantise(trained.subspan(run.begin + done, tile.size()),
                             base.subspan(run.begin + done, tile.size()), scale_bits, tile));
      summary.out_of_range += quantised.saturated;
      summary.changed += quantised.non_zero;
      CT_RETURN_IF_ERROR(file.WriteAt((run.update_begin + done) * sizeof(int32_t), tile.data(),
                                      tile.size_bytes()));
    }
  }
  CT_RETURN_IF_ERROR(file.Sync());
  return summary;
}

}  // namespace crowdteach::client
