#include "client/commands/trial.h"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "learning/model/init.h"
#include "learning/model/model_spec.h"

namespace crowdteach::client {
namespace {

constexpr uint64_t kSteps = 4;  // the first one is slower

// A folder of our own that goes away.
class Scratch {
 public:
  static StatusOr<std::unique_ptr<Scratch>> Make() {
    std::error_code error;
    const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
    if (error) return ErrnoStatus(error.value(), "TMPDIR");
    std::string path = (folder / "crowdteach-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) return ErrnoStatus(errno, path);
    return std::unique_ptr<Scratch>(new Scratch(path));
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace

StatusOr<Trial> TryTraining(const learning::RunnerOptions& runner, const v1::Terms& terms,
                            const std::string& code_path, const learning::ExamplesFile& data,
                            const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  CT_ASSIGN_OR_RETURN(const auto scratch, Scratch::Make());
  CT_ASSIGN_OR_RETURN(const learning::ModelSpec spec, learning::ParseModelSpec(terms.model_toml()));
  learning::TrainRequest request;
  request.weights_path = scratch->Path("fresh.safetensors");
  request.output_path = scratch->Path("trained.safetensors");
  request.examples_fd = data.fd();
  request.local = terms.local();
  CT_RETURN_IF_ERROR(learning::WriteFirstWeights(request.weights_path, spec, request.seed));
  CT_ASSIGN_OR_RETURN(const auto model, learning::ModelRunner::Spawn(runner));
  CT_RETURN_IF_ERROR(model->LoadModel(terms.model_toml(), terms.data(), code_path));

  Trial trial;
  Clock::time_point begun = Clock::now();
  std::stop_source enough;
  const std::stop_callback pass_on(stop, [&] { enough.request_stop(); });
  const auto progress = [&](uint64_t batch, uint64_t batches, double loss_nats) {
    const Clock::time_point now = Clock::now();
    trial.steps = batch;
    trial.round_steps = batches;
    if (batch == 1) trial.loss_nats = loss_nats;
    const std::chrono::duration<double, std::milli> took = now - begun;
    trial.step_ms = took.count() / static_cast<double>(batch == 1 ? 1 : batch - 1);
    if (batch == 1) begun = now;
    if (batch >= kSteps) enough.request_stop();
  };
  const Status trained = model->Train(request, progress, enough.get_token()).status();
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  if (!trained.ok() && !(absl::IsCancelled(trained) && trial.steps >= kSteps)) return trained;
  if (!std::isfinite(trial.loss_nats)) {
    return InvalidArgument(
        "the loss on these data is not finite, before any training: either their values are too "
        "large for the campaign's mean and deviation, or the model computes no numbers in "
        "training");
  }
  return trial;
}

}  // namespace crowdteach::client
