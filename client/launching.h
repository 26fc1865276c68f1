// From a campaign.toml to a CAMPAIGN_OPEN: weights, validation set, first loss.
#pragma once

#include <optional>
#include <string>

#include "client/campaign_toml.h"
#include "crowdteach/v1/ledger.pb.h"
#include "learning/model_runner.h"
#include "ledger/artifact_store.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct PreparedCampaign {
  v1::CampaignOpen open;
  base::Hash model{};  // blobs in the store it was prepared in
  base::Hash validation{};
  std::optional<base::Hash> code;  // of a model as code
};

// Makes or rewrites the first weights, reads and salts the validation set, evaluates the one on the
// other, and validates everything the coordinator will validate. `seed`: of fresh weights.
// Errors name the term, file or line.
StatusOr<PreparedCampaign> PrepareCampaign(const CampaignFile& file, uint64_t seed,
                                           const learning::RunnerOptions& runner,
                                           ledger::ArtifactStore* blobs);

}  // namespace crowdteach::client
