// What people and clients are shown of the ledger's state. Pure functions of state, marks and the
// engine's state, whose deadlines are later than the ledger's after a downtime; the caller holds
// the coordinator's lock.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crowdteach/v1/coordinator.pb.h"
#include "ledger/state.h"
#include "server/marks.h"
#include "server/round/step.h"

namespace crowdteach::server {

std::string_view PhaseName(ledger::CampaignPhase phase);

v1::CampaignView MakeView(const ledger::State& state, const Marks& marks, const EngineState& engine,
                          uint64_t campaign, const std::vector<uint64_t>& connected,
                          uint64_t now_ms);
v1::GetAccountReply MakeAccount(const ledger::State& state, uint64_t account);

// Makes the receipt of an entry.
using MakeReceipt = std::function<std::string(uint64_t index)>;

// A notice, and the account it is for (0: everybody attending).
struct AddressedNotice {
  uint64_t account = 0;
  v1::Notice notice;
};
// What attending teachers are told about a committed entry of this campaign.
std::vector<AddressedNotice> NoticesOf(const ledger::LoggedEntry& logged,
                                       const ledger::CampaignState& campaign,
                                       const CampaignMarks& marks, const MakeReceipt& receipt);
// What a teacher who just came needs to take part: WAITING first, then what it missed of the open
// round, in order.
std::vector<v1::Notice> CatchUp(const ledger::CampaignState& campaign, const CampaignMarks& marks,
                                const EngineState& engine, uint64_t account, uint64_t now_ms,
                                const MakeReceipt& receipt);

// The campaign an entry belongs to; 0 for none.
uint64_t CampaignOf(const ledger::LoggedEntry& logged);

}  // namespace crowdteach::server
