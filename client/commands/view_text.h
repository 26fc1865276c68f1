// A campaign's live view as text for people and JSON for programs. Pure.
#pragma once

#include <string>

#include "crowdteach/v1/coordinator.pb.h"

namespace crowdteach::client {

// Several lines: round, loss and accuracy by round as a small plot, a table of the teachers.
std::string ViewTable(const v1::CampaignView& view);
// One line for a log.
std::string ViewLine(const v1::CampaignView& view);
// One JSON object, without line breaks; keys as in CampaignView.
std::string ViewJson(const v1::CampaignView& view);

}  // namespace crowdteach::client
