#include "client/trainer.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "learning/aggregate/file.h"
#include "learning/aggregate/tile_source.h"
#include "learning/fixed_point.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"

namespace crowdteach::client {

StatusOr<Behaviour> ParseBehaviour(std::string_view name) {
  if (name == "honest") return Behaviour::kHonest;
  if (name == "zero") return Behaviour::kZero;
  if (name == "sign-flip") return Behaviour::kSignFlip;
  return InvalidArgument("'{}' is no behaviour; there are honest, zero and sign-flip", name);
}

StatusOr<std::unique_ptr<LocalTrainer>> LocalTrainer::Make(const learning::RunnerOptions& options,
                                                           const v1::Terms& terms,
                                                           const learning::ExamplesFile* data,
                                                           Behaviour behaviour) {
  auto trainer = std::unique_ptr<LocalTrainer>(new LocalTrainer(terms, data, behaviour));
  CT_ASSIGN_OR_RETURN(const learning::ModelSpec spec, learning::ParseModelSpec(terms.model_toml()));
  trainer->format_.layout = learning::LayoutOf(spec);
  trainer->format_.data_offset_bytes = learning::CanonicalHeader(trainer->format_.layout).size();
  trainer->options_ = options;
  if (behaviour == Behaviour::kZero) return trainer;
  CT_ASSIGN_OR_RETURN(trainer->runner_, learning::ModelRunner::Spawn(options));
  CT_RETURN_IF_ERROR(trainer->runner_->LoadModel(terms.model_toml(), terms.data()));
  return trainer;
}

StatusOr<UpdateInfo> LocalTrainer::Quantise(const std::string& base_path,
                                            const std::string& trained_path,
                                            const std::string& update_path) const {
  CT_ASSIGN_OR_RETURN(const auto base, learning::TrainableFile::Open(base_path, format_));
  CT_ASSIGN_OR_RETURN(const auto trained, learning::TrainableFile::Open(trained_path, format_));
  CT_ASSIGN_OR_RETURN(const auto update, learning::File::Create(update_path));
  std::vector<float> before(learning::kTileValues);
  std::vector<float> after(learning::kTileValues);
  std::vector<int32_t> values(learning::kTileValues);
  UpdateInfo info;
  for (uint64_t first = 0; first < base.count(); first += learning::kTileValues) {
    const size_t count = std::min<uint64_t>(learning::kTileValues, base.count() - first);
    const std::span<float> b(before.data(), count);
    const std::span<float> a(after.data(), count);
    const std::span<int32_t> v(values.data(), count);
    CT_RETURN_IF_ERROR(base.Read(first, b));
    CT_RETURN_IF_ERROR(trained.Read(first, a));
    if (behaviour_ == Behaviour::kSignFlip) std::swap_ranges(a.begin(), a.end(), b.begin());
    CT_ASSIGN_OR_RETURN(const learning::Quantised quantised,
                        learning::Quantise(a, b, terms_.scale_bits(), v));
    info.saturated += quantised.saturated;
    info.non_zero += quantised.non_zero;
    CT_RETURN_IF_ERROR(update.WriteAt(first * sizeof(int32_t), v.data(), v.size_bytes()));
  }
  CT_RETURN_IF_ERROR(update.Sync());
  return info;
}

StatusOr<UpdateInfo> LocalTrainer::Train(const std::string& base_path, uint64_t seed,
                                         const std::string& update_path,
                                         const learning::TrainProgress& progress,
                                         std::stop_token stop) {
  if (behaviour_ == Behaviour::kZero) return Quantise(base_path, base_path, update_path);
  if (!runner_->alive()) {
    CT_ASSIGN_OR_RETURN(runner_, learning::ModelRunner::Spawn(options_));
    CT_RETURN_IF_ERROR(runner_->LoadModel(terms_.model_toml(), terms_.data()));
  }
  learning::TrainRequest request;
  request.weights_path = base_path;
  request.examples_fd = data_->fd();
  request.local = terms_.local();
  request.seed = seed;
  request.output_path = update_path + ".weights";
  CT_ASSIGN_OR_RETURN(const learning::TrainResult trained,
                      runner_->Train(request, progress, std::move(stop)));
  if (!trained.finite) {
    return InvalidArgument(
        "the training diverged after {} batches: the loss is not finite. The "
        "campaign's learning rate does not suit this data",
        trained.batches);
  }
  StatusOr<UpdateInfo> info = Quantise(base_path, request.output_path, update_path);
  std::error_code ignored;  // a leftover of a temporary file harms nobody
  std::filesystem::remove(request.output_path, ignored);
  CT_RETURN_IF_ERROR(info.status());
  info->examples = trained.examples;
  info->mean_loss_nats = trained.mean_loss_nats;
  return info;
}

}  // namespace crowdteach::client
