// Scoring one campaign: a worker with the model loaded, the validation set, and the scorer with the
// gradient it keeps between rounds. Dropped and made anew when the worker dies.
//
// Not thread-safe.
#pragma once

#include <memory>
#include <stop_token>

#include "learning/data/examples.h"
#include "learning/model_runner.h"
#include "learning/score/aumann_shapley.h"
#include "server/jobs/aggregate_job.h"
#include "server/jobs/round_jobs.h"

namespace crowdteach::server {

class Scoring {
 public:
  // Spawns the worker; `shut_down` kills it (model_runner.h). Errors as ModelRunner::Spawn and
  // LoadModel, and of the validation set.
  static StatusOr<std::unique_ptr<Scoring>> Make(const JobsOptions& options, uint64_t campaign,
                                                 const v1::CampaignOpen& open,
                                                 const ledger::ArtifactStore& artifacts,
                                                 std::stop_token shut_down);

  uint64_t campaign() const { return campaign_; }

  // ScoreDone, Diverging or JobFailed(NOT_FINITE, SCORE_RANGE). An error is the worker's death or
  // trouble with files.
  StatusOr<Event> Run(const PassSpec& spec, const Aggregated& aggregated,
                      const CampaignModel& model, ledger::ArtifactStore& artifacts,
                      learning::TileExecutor& executor);

  // The loss at published weights.
  StatusOr<learning::Evaluation> Evaluate(const std::string& weights_path);

 private:
  Scoring(uint64_t campaign, std::string scratch, learning::ExamplesFile validation)
      : campaign_(campaign), scratch_(std::move(scratch)), validation_(std::move(validation)) {}

  const uint64_t campaign_;
  const std::string scratch_;
  learning::ExamplesFile validation_;
  std::unique_ptr<learning::ModelRunner> runner_;
  std::unique_ptr<learning::LossOracle> oracle_;
  learning::AumannShapley scorer_;
};

}  // namespace crowdteach::server
