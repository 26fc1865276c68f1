#include "client/worker_trainer.h"

#include <utility>

#include "client/public_terms.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"

namespace crowdteach::client {

StatusOr<uint64_t> WorkerTrainer::Prepare(const Campaign& campaign) {
  CT_ASSIGN_OR_RETURN(terms_, TermsOf(campaign));
  CT_ASSIGN_OR_RETURN(examples_, read_(terms_.data()));
  CT_ASSIGN_OR_RETURN(runner_, learning::ModelRunner::Spawn(options_));
  CT_RETURN_IF_ERROR(runner_->LoadModel(terms_.model_toml(), terms_.data()));
  return examples_->count();
}

StatusOr<TrainingSummary> WorkerTrainer::Train(const Task& task, std::span<float> weights,
                                               Progress& progress, std::stop_token stop) {
  learning::TrainRequest request;
  request.weights_path = task.base_path;
  request.examples_fd = examples_->fd();
  request.local = terms_.local();
  request.seed = task.seed;
  request.output_path = task.scratch + "/weights.safetensors";
  CT_ASSIGN_OR_RETURN(const learning::TrainResult trained,
                      runner_->Train(
                          request,
                          [&](uint64_t batch, uint64_t batches, double loss_nats) {
                            progress.Step(batch, batches, loss_nats);
                          },
                          std::move(stop)));
  if (!trained.finite) {
    return InvalidArgument(
        "the training diverged after {} batches: the loss is not finite. The "
        "campaign's learning rate does not suit this data",
        trained.batches);
  }
  CT_ASSIGN_OR_RETURN(const learning::ModelSpec spec,
                      learning::ParseModelSpec(terms_.model_toml()));
  CT_RETURN_IF_ERROR(learning::ReadWeights(request.output_path, learning::LayoutOf(spec), weights));
  return TrainingSummary{.examples = trained.examples, .mean_loss_nats = trained.mean_loss_nats};
}

}  // namespace crowdteach::client
