#include "client/round_training.h"

#include <exception>
#include <filesystem>
#include <utility>

#include "client/round_weights.h"

namespace crowdteach::client {
namespace {

// Hands a trainer's progress to the observer.
class RoundProgress : public Progress {
 public:
  RoundProgress(Observer& observer, uint32_t round) : observer_(observer), round_(round) {}
  void Step(uint64_t done, uint64_t total, double loss_nats) override {
    observer_.Training(round_, done, total, loss_nats);
  }
  void Say(std::string_view line) override { observer_.Said(round_, line); }

 private:
  Observer& observer_;
  const uint32_t round_;
};

// An empty folder, removed with all that was put into it.
class Scratch {
 public:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;  // a leftover is removed when the next round begins
    std::filesystem::remove_all(path_, ignored);
  }
  Status Make() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    if (!error) std::filesystem::create_directory(path_, error);
    return error ? ErrnoStatus(error.value(), path_) : OkStatus();
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

StatusOr<TrainingSummary> CallTrainer(Trainer& trainer, const Task& task, std::span<float> weights,
                                      Progress& progress, const std::stop_token& stop) {
  StatusOr<TrainingSummary> summary;
  try {
    summary = trainer.Train(task, weights, progress, stop);
  } catch (const std::exception& thrown) {
    return Aborted("the trainer threw: {}", thrown.what());
  } catch (...) {
    return Aborted("the trainer threw something that is no std::exception");
  }
  if (absl::IsCancelled(summary.status()) && !stop.stop_requested()) {
    return Aborted("the trainer gave up: {}", Message(summary.status()));
  }
  return summary;
}

}  // namespace

StatusOr<UpdateSummary> TrainRound(const Joining& joining, const RoundWork& work, Trainer& trainer,
                                   Observer& observer, const std::stop_token& stop) {
  CT_ASSIGN_OR_RETURN(const RoundWeights weights,
                      RoundWeights::Open(work.base_path, joining.layout));
  Scratch scratch(work.scratch);
  CT_RETURN_IF_ERROR(scratch.Make());
  const Task task{
      .campaign = joining.campaign,
      .round = work.round,
      .base = weights.base(),
      .base_path = work.base_path,
      .seed = work.seed,
      .deadline = work.deadline,
      .scratch = scratch.path(),
  };
  RoundProgress progress(observer, work.round);
  CT_ASSIGN_OR_RETURN(const TrainingSummary trained,
                      CallTrainer(trainer, task, weights.trained(), progress, stop));
  CT_ASSIGN_OR_RETURN(UpdateSummary summary,
                      WriteUpdate(joining.layout, weights.base(), weights.trained(),
                                  joining.terms.scale_bits(), work.update_path));
  summary.examples = trained.examples;
  summary.mean_loss_nats = trained.mean_loss_nats;
  return summary;
}

}  // namespace crowdteach::client
