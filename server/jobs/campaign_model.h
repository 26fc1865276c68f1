// A campaign's model, as jobs see it: the architecture parsed, its layout, its files' format.
#pragma once

#include "crowdteach/v1/ledger.pb.h"
#include "learning/aggregate/trainable_file.h"
#include "learning/model/model_spec.h"
#include "proto/base/status.h"

namespace crowdteach::server {

struct CampaignModel {
  learning::ModelSpec spec;
  learning::WeightsFormat format;
};

// kInvalidArgument, kResourceExhausted: as learning::ParseModelSpec.
StatusOr<CampaignModel> ParseCampaignModel(const v1::Terms& terms);

}  // namespace crowdteach::server
