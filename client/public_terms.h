// The terms on the ledger as the plain structs of teacher.h. Pure.
#pragma once

#include "client/teacher.h"
#include "crowdteach/v1/ledger.pb.h"
#include "learning/layout.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// `open` is entry `number`, verified; `layout` that of its model.
Campaign MakeCampaign(uint64_t number, const v1::CampaignOpen& open,
                      const learning::Layout& layout);

// Of a campaign made by MakeCampaign. kInvalidArgument: of another maker.
StatusOr<v1::Terms> TermsOf(const Campaign& campaign);

}  // namespace crowdteach::client
