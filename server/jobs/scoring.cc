#include "server/jobs/scoring.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "learning/data/validation.h"
#include "proto/base/bytes.h"
#include "proto/base/wide.h"

namespace crowdteach::server {
namespace {

constexpr uint32_t kScorerVersion = 1;
constexpr uint64_t kBlocks = 16;  // of the validation set, for the jackknife

v1::Score ToMessage(const learning::Score& score, const learning::UpdateSet& updates) {
  v1::Score message;
  message.set_scorer(v1::AUMANN_SHAPLEY);
  message.set_scorer_version(kScorerVersion);
  message.set_path_nodes(score.path_nodes);
  message.set_loss_before_q32(score.loss_before_q32);
  message.set_loss_after_q32(score.loss_after_q32);
  message.set_correct_before(score.correct_before);
  message.set_correct_after(score.correct_after);
  if (score.verdict == learning::ScoreVerdict::kScored) {
    message.set_gradient_bits(score.gradient_bits);
    message.set_gradient_digest(base::Bytes(score.gradient_digest));
  }
  for (size_t i = 0; i < score.lines.size(); ++i) {
    const learning::TeacherScore& teacher = score.lines[i];
    v1::ScoreLine* line = message.add_lines();
    line->set_account(teacher.account);
    line->set_update_digest(base::Bytes(updates[i].digest));
    line->set_weight(updates[i].weight);
    line->set_clip_factor(updates[i].clip_factor);
    line->set_d(base::EncodeWide(teacher.d));
    line->set_e(base::EncodeWide(teacher.e));
    line->set_phi_q32(teacher.phi_q32);
    line->set_stderr_q32(teacher.stderr_q32);
  }
  return message;
}

}  // namespace

StatusOr<std::unique_ptr<Scoring>> Scoring::Make(const JobsOptions& options, uint64_t campaign,
                                                 const v1::CampaignOpen& open,
                                                 const ledger::ArtifactStore& artifacts,
                                                 std::stop_token shut_down) {
  CT_ASSIGN_OR_RETURN(const learning::ValidationCommitment commitment,
                      learning::CommitmentOf(open));
  CT_ASSIGN_OR_RETURN(learning::ExamplesFile validation,
                      learning::VerifyValidationSet(artifacts.Path(commitment.digest), commitment,
                                                    open.terms().data()));
  auto scoring =
      std::unique_ptr<Scoring>(new Scoring(campaign, options.scratch, std::move(validation)));
  learning::RunnerOptions runner;
  runner.worker_path = options.worker_path;
  runner.threads = static_cast<int>(options.threads);
  runner.memory_limit_bytes = options.worker_memory_bytes;
  runner.sandbox = options.sandbox;
  runner.allow_model_code = options.allow_model_code;
  runner.shut_down = std::move(shut_down);
  CT_ASSIGN_OR_RETURN(scoring->runner_, learning::ModelRunner::Spawn(runner));
  const auto code = learning::ModelCodeOf(open.terms().model_toml());
  CT_RETURN_IF_ERROR(scoring->runner_->LoadModel(open.terms().model_toml(), open.terms().data(),
                                                 code ? artifacts.Path(code->digest) : ""));
  const uint64_t count = scoring->validation_.count();
  CT_ASSIGN_OR_RETURN(scoring->oracle_,
                      learning::MakeOracle(*scoring->runner_, scoring->validation_.fd(), count,
                                           static_cast<uint32_t>(std::min(kBlocks, count))));
  return scoring;
}

StatusOr<learning::Evaluation> Scoring::Evaluate(const std::string& weights_path) {
  return oracle_->Evaluate(weights_path);
}

StatusOr<Event> Scoring::Run(const PassSpec& spec, const Aggregated& aggregated,
                             const CampaignModel& model, ledger::ArtifactStore& artifacts,
                             learning::TileExecutor& executor) {
  CT_ASSIGN_OR_RETURN(const base::Hash next_digest,
                      base::HashFromBytes(aggregated.aggregate.model_digest()));
  learning::ScoreRequest request{.updates = aggregated.updates,
                                 .scale_bits = spec.open.terms().scale_bits(),
                                 .format = model.format,
                                 .base_path = artifacts.Path(spec.base_model),
                                 .next_path = artifacts.Path(next_digest),
                                 .base_digest = spec.base_model,
                                 .next_digest = next_digest,
                                 .is_void = aggregated.is_void,
                                 .e = aggregated.e,
                                 .loss_before_q32 = spec.loss_before_q32,
                                 .correct_before = spec.correct_before,
                                 .work_dir = scratch_,
                                 .gradient_artifact_path = artifacts.TemporaryPath(),
                                 .gradient_salt = base::RandomBytes(32)};
  CT_ASSIGN_OR_RETURN(const learning::Score score, scorer_.Run(request, *oracle_, executor));
  switch (score.verdict) {
    case learning::ScoreVerdict::kScored: {
      CT_RETURN_IF_ERROR(
          artifacts.Adopt(base::BlobKind::kGradient, request.gradient_artifact_path).status());
      return Event(ScoreDone{ToMessage(score, aggregated.updates)});
    }
    case learning::ScoreVerdict::kVoid:
      return Event(ScoreDone{ToMessage(score, aggregated.updates)});
    case learning::ScoreVerdict::kDiverges:
      return Event(Diverging{score.diverging});
    case learning::ScoreVerdict::kNotFinite:
      return Event(JobFailed{v1::NOT_FINITE});
    case learning::ScoreVerdict::kOutOfRange:
      return Event(JobFailed{v1::SCORE_RANGE});
  }
  return Internal("a score without a verdict");
}

}  // namespace crowdteach::server
