// Inside the state machine: one function an entry type. Each checks that its body is legal now and
// answers with the postings and the move; nothing is changed before the whole entry was found
// legal.
//
// Private to state*.cc. Envelope checks (signature, sequence, times) come before, in state.cc.
#pragma once

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/reward.h"
#include "ledger/state.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

BalanceKey Avail(uint64_t account);
BalanceKey Stake(uint64_t campaign, uint64_t account);
BalanceKey Escrow(uint64_t campaign);
BalanceKey Held(uint64_t campaign, uint64_t account);
BalanceKey Treasury();
BalanceKey Issued();

// Collects amounts in any order; Take() sorts them by key, adds up what names the same balance and
// drops zeros.
class PostingList {
 public:
  void Add(const BalanceKey& key, int64_t amount) { amounts_.emplace_back(key, amount); }
  void Move(const BalanceKey& from, const BalanceKey& to, int64_t amount);
  std::vector<v1::Posting> Take() &&;

 private:
  std::vector<std::pair<BalanceKey, int64_t>> amounts_;
};

// What logging an intent does. `move` may refer to the intent it was decided for.
struct State::Change {
  std::vector<v1::Posting> postings;
  std::function<void(State&)> move;
};

struct State::Rules {
  const State& state;
  const v1::Intent& intent;
  uint64_t time_ms;

  using Decision = StatusOr<Change>;
  Decision Decide() const;

  // state_people.cc
  Decision On(const v1::Genesis& body) const;
  Decision On(const v1::AccountOpen& body) const;
  Decision On(const v1::Invite& body) const;
  Decision On(const v1::Enrol& body) const;
  // state_campaign.cc
  Decision On(const v1::Issue& body) const;
  Decision On(const v1::CampaignOpen& body) const;
  Decision On(const v1::CampaignClose& body) const;
  Decision On(const v1::Release& body) const;
  Decision On(const v1::Refund& body) const;
  // state_round.cc
  Decision On(const v1::RoundOpen& body) const;
  Decision On(const v1::UpdateCommit& body) const;
  Decision On(const v1::RoundCommitClose& body) const;
  Decision On(const v1::UpdateReveal& body) const;
  Decision On(const v1::UpdateReject& body) const;
  // state_score.cc
  Decision On(const v1::Aggregate& body) const;
  Decision On(const v1::Score& body) const;
  Decision On(const v1::Settle& body) const;
  // state_abort.cc
  Decision On(const v1::RoundAbort& body) const;

  // kPermissionDenied unless the operator signed this.
  Status ByOperator() const;
  // kNotFound: no such campaign.
  StatusOr<const CampaignState*> Campaign(uint64_t campaign) const;
  // The campaign, if `round` is its open round and in one of `phases`; kFailedPrecondition else.
  StatusOr<const CampaignState*> OpenRound(uint64_t campaign, uint32_t round,
                                           const std::vector<Phase>& phases) const;
  // kResourceExhausted unless avail/account >= amount; `what` needs the credits.
  Status Afford(uint64_t account, uint64_t amount, std::string_view what) const;
  // The seat of a selected teacher. kPermissionDenied: not selected.
  StatusOr<const Seat*> SeatOf(const CampaignState& campaign, uint64_t account) const;

  // OK when all that had to be rejected in this pass (for the upload phase: before the first) is,
  // so that AGGREGATE of the next pass, or an abort below quorum, may come.
  Status CheckPassComplete(uint64_t id, const CampaignState& campaign) const;
  Status CheckRejectInUpload(const CampaignState& campaign, const v1::UpdateReject& body,
                             const Seat& seat) const;
  Status CheckAbort(const v1::RoundAbort& body, const CampaignState& campaign) const;
};

// Ends the open round: its salts seed the next selection.
void EndRound(CampaignState* campaign, uint64_t time_ms);

std::string_view Name(Phase phase);
std::string_view Name(CampaignPhase phase);

}  // namespace crowdteach::ledger
