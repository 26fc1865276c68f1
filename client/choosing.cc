#include "client/choosing.h"

#include <string>

namespace crowdteach::client {

StatusOr<uint64_t> OnlyCampaign(const v1::ListCampaignsReply& list) {
  std::string running;
  uint64_t found = 0;
  int count = 0;
  for (const auto& item : list.campaigns()) {
    if (item.phase() != "running" && !item.enrolled()) continue;
    if (item.phase() == "refunded") continue;
    found = item.campaign();
    running += fmt::format("\n  --campaign {}   {}", item.campaign(), item.name());
    ++count;
  }
  if (count > 1) return InvalidArgument("several campaigns are running; choose one:{}", running);
  return found;
}

}  // namespace crowdteach::client
