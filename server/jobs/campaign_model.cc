#include "server/jobs/campaign_model.h"

#include <utility>

#include "learning/model/safetensors.h"

namespace crowdteach::server {

StatusOr<CampaignModel> ParseCampaignModel(const v1::Terms& terms) {
  CampaignModel model;
  CT_ASSIGN_OR_RETURN(model.spec, learning::ParseModelSpec(terms.model_toml()));
  model.format.layout = learning::LayoutOf(model.spec);
  model.format.data_offset_bytes = learning::CanonicalHeader(model.format.layout).size();
  return model;
}

}  // namespace crowdteach::server
