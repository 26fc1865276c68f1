#include "server/jobs/aggregate_job.h"

#include <filesystem>
#include <memory>
#include <utility>

#include "learning/aggregate/fedavg.h"
#include "learning/aggregate/norms.h"
#include "learning/aggregate/tile_source.h"
#include "proto/base/wide.h"

namespace crowdteach::server {
namespace {

// Opens one update and fills in its line of AGGREGATE.
StatusOr<learning::TeacherUpdate> OpenUpdate(const IncludedUpdate& included, const PassSpec& spec,
                                             const ledger::ArtifactStore& artifacts,
                                             learning::TileExecutor& executor,
                                             v1::AggregateLine* line) {
  learning::TeacherUpdate update;
  update.account = included.account;
  update.digest = included.digest;
  update.weight = included.weight;
  CT_ASSIGN_OR_RETURN(update.values, learning::OpenInt32File(artifacts.Path(included.digest),
                                                             spec.open.parameters()));
  CT_ASSIGN_OR_RETURN(const base::UInt128 norm_squared,
                      learning::NormSquared(*update.values, executor));
  const v1::Terms& terms = spec.open.terms();
  if (terms.norm_rule() == v1::CLIP) {
    update.clip_factor = learning::ClipFactor(norm_squared, terms.norm_cap());
  }
  line->set_account(included.account);
  line->set_update_digest(base::Bytes(included.digest));
  line->set_weight(included.weight);
  line->set_clip_factor(update.clip_factor);
  line->set_norm_squared(base::EncodeWide(static_cast<base::Int128>(norm_squared)));
  return update;
}

}  // namespace

StatusOr<Aggregated> RunAggregate(const PassSpec& spec, const CampaignModel& model,
                                  ledger::ArtifactStore& artifacts,
                                  learning::TileExecutor& executor) {
  v1::Aggregate aggregate;
  std::vector<learning::TeacherUpdate> opened;
  for (const IncludedUpdate& included : spec.updates) {
    CT_ASSIGN_OR_RETURN(learning::TeacherUpdate update,
                        OpenUpdate(included, spec, artifacts, executor, aggregate.add_lines()));
    opened.push_back(std::move(update));
  }
  CT_ASSIGN_OR_RETURN(learning::UpdateSet updates,
                      learning::UpdateSet::Make(std::move(opened), spec.open.parameters()));
  const std::string next_path = artifacts.TemporaryPath();
  CT_ASSIGN_OR_RETURN(
      const learning::FedAvgResult result,
      learning::AggregateFedAvg(updates, spec.open.terms().scale_bits(), model.format,
                                artifacts.Path(spec.base_model), next_path, executor));
  aggregate.set_model_digest(base::Bytes(result.model_digest));
  if (result.is_void) {
    std::filesystem::remove(next_path);
  } else {
    CT_RETURN_IF_ERROR(artifacts.Adopt(base::BlobKind::kWeights, next_path).status());
  }
  return Aggregated{std::move(aggregate), std::move(updates), result.e, result.is_void};
}

}  // namespace crowdteach::server
