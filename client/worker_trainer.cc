#include "client/worker_trainer.h"

#include <utility>

#include "client/public_terms.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"

namespace crowdteach::client {

Status WorkerTrainer::StartWorker() {
  CT_ASSIGN_OR_RETURN(runner_, learning::ModelRunner::Spawn(options_));
  return runner_->LoadModel(terms_.model_toml(), terms_.data(), code_path_);
}

StatusOr<uint64_t> WorkerTrainer::Prepare(const Campaign& campaign) {
  CT_ASSIGN_OR_RETURN(terms_, TermsOf(campaign));
  CT_ASSIGN_OR_RETURN(const learning::ModelSpec spec,
                      learning::ParseModelSpec(terms_.model_toml()));
  CT_RETURN_IF_ERROR(learning::CheckCodeAllowed(spec, options_.allow_model_code));
  layout_ = learning::LayoutOf(spec);
  code_path_ = campaign.model_code_path;
  CT_ASSIGN_OR_RETURN(examples_, read_(terms_.data()));
  CT_RETURN_IF_ERROR(StartWorker());
  return examples_->count();
}

StatusOr<TrainingSummary> WorkerTrainer::Train(const Task& task, std::span<float> weights,
                                               Progress& progress, std::stop_token stop) {
  if (!runner_->alive()) CT_RETURN_IF_ERROR(StartWorker());
  learning::TrainRequest request;
  request.weights_path = task.base_path;
  request.examples_fd = examples_->fd();
  request.local = terms_.local();
  request.seed = task.seed;
  request.output_path = task.scratch + "/weights.safetensors";
  const auto train = [&] {
    return runner_->Train(
        request,
        [&](uint64_t batch, uint64_t batches, double loss_nats) {
          progress.Step(batch, batches, loss_nats);
        },
        stop);
  };
  const auto died = [this](const Status& status) {
    return !status.ok() && !absl::IsCancelled(status) && !runner_->alive();
  };
  StatusOr<learning::TrainResult> done = train();
  if (died(done.status())) {
    progress.Say(Message(done.status()) + "; training again");
    CT_RETURN_IF_ERROR(StartWorker());
    done = train();
    if (died(done.status())) return Aborted("{}", Message(done.status()));
  }
  CT_RETURN_IF_ERROR(done.status());
  const learning::TrainResult& trained = *done;
  if (!trained.finite) {
    return InvalidArgument(
        "the training diverged after {} batches: the loss is not finite. The "
        "campaign's learning rate does not suit this data",
        trained.batches);
  }
  CT_RETURN_IF_ERROR(learning::ReadWeights(request.output_path, layout_, weights));
  return TrainingSummary{.examples = trained.examples, .mean_loss_nats = trained.mean_loss_nats};
}

}  // namespace crowdteach::client
