// One pass of exact federated averaging over published artifacts.
#pragma once

#include <vector>

#include "learning/aggregate/tile_executor.h"
#include "learning/aggregate/update_set.h"
#include "ledger/artifact_store.h"
#include "proto/base/status.h"
#include "proto/base/wide.h"
#include "server/jobs/campaign_model.h"
#include "server/jobs/round_jobs.h"

namespace crowdteach::server {

struct Aggregated {
  v1::Aggregate aggregate;      // model digest and lines
  learning::UpdateSet updates;  // capped and weighted
  std::vector<base::Int128> e;  // E_i, in the order of the updates
  bool is_void = false;
};

// Opens the updates, caps their norms, writes and publishes the next model.
// kNotFound: an artifact is missing; kInvalidArgument: it is not of the model's size; errors of
// reading and writing.
StatusOr<Aggregated> RunAggregate(const PassSpec& spec, const CampaignModel& model,
                                  ledger::ArtifactStore& artifacts,
                                  learning::TileExecutor& executor);

}  // namespace crowdteach::server
