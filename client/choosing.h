// Which campaign a teacher means. Pure function.
#pragma once

#include <cstdint>

#include "crowdteach/v1/coordinator.pb.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// The only one that is running, or that the caller is still enrolled in; 0: there is none.
// kInvalidArgument: there are several; the message lists them.
StatusOr<uint64_t> OnlyCampaign(const v1::ListCampaignsReply& list);

}  // namespace crowdteach::client
