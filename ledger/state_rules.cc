#include "ledger/state_rules.h"

#include <algorithm>

#include "proto/base/assert.h"

namespace crowdteach::ledger {

BalanceKey Avail(uint64_t account) { return {v1::AVAIL, 0, account}; }
BalanceKey Stake(uint64_t campaign, uint64_t account) { return {v1::STAKE, campaign, account}; }
BalanceKey Escrow(uint64_t campaign) { return {v1::ESCROW, campaign, 0}; }
BalanceKey Held(uint64_t campaign, uint64_t account) { return {v1::HELD, campaign, account}; }
BalanceKey Treasury() { return {v1::TREASURY, 0, 0}; }
BalanceKey Issued() { return {v1::ISSUED, 0, 0}; }

void PostingList::Move(const BalanceKey& from, const BalanceKey& to, int64_t amount) {
  Add(from, -amount);
  Add(to, amount);
}

std::vector<v1::Posting> PostingList::Take() && {
  std::stable_sort(amounts_.begin(), amounts_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<v1::Posting> postings;
  for (size_t i = 0; i < amounts_.size();) {
    const BalanceKey key = amounts_[i].first;
    Int128 sum = 0;
    for (; i < amounts_.size() && amounts_[i].first == key; ++i) sum += amounts_[i].second;
    if (sum == 0) continue;
    const auto amount = static_cast<int64_t>(sum);
    CT_ASSERT(amount == sum);
    v1::Posting& posting = postings.emplace_back();
    posting.set_kind(key.kind);
    posting.set_campaign(key.campaign);
    posting.set_account(key.account);
    posting.set_amount(amount);
  }
  return postings;
}

StatusOr<State::Change> State::Rules::Decide() const {
  switch (intent.body_case()) {
    case v1::Intent::kGenesisBody:
      return On(intent.genesis_body());
    case v1::Intent::kAccountOpen:
      return On(intent.account_open());
    case v1::Intent::kInvite:
      return On(intent.invite());
    case v1::Intent::kEnrol:
      return On(intent.enrol());
    case v1::Intent::kIssue:
      return On(intent.issue());
    case v1::Intent::kCampaignOpen:
      return On(intent.campaign_open());
    case v1::Intent::kCampaignClose:
      return On(intent.campaign_close());
    case v1::Intent::kRelease:
      return On(intent.release());
    case v1::Intent::kRefund:
      return On(intent.refund());
    case v1::Intent::kRoundOpen:
      return On(intent.round_open());
    case v1::Intent::kUpdateCommit:
      return On(intent.update_commit());
    case v1::Intent::kRoundCommitClose:
      return On(intent.round_commit_close());
    case v1::Intent::kUpdateReveal:
      return On(intent.update_reveal());
    case v1::Intent::kUpdateReject:
      return On(intent.update_reject());
    case v1::Intent::kAggregate:
      return On(intent.aggregate());
    case v1::Intent::kScore:
      return On(intent.score());
    case v1::Intent::kSettle:
      return On(intent.settle());
    case v1::Intent::kRoundAbort:
      return On(intent.round_abort());
    case v1::Intent::BODY_NOT_SET:
      break;
  }
  return InvalidArgument("an intent without a body");
}

Status State::Rules::ByOperator() const {
  if (intent.account() == 0) return OkStatus();
  return PermissionDenied("{} is the operator's to say, not account {}'s", BodyName(intent),
                          intent.account());
}

StatusOr<const CampaignState*> State::Rules::Campaign(uint64_t campaign) const {
  const CampaignState* found = state.FindCampaign(campaign);
  if (found == nullptr) {
    return NotFound(
        "there is no campaign {}: a campaign is named by the index of its CAMPAIGN_OPEN", campaign);
  }
  return found;
}

StatusOr<const CampaignState*> State::Rules::OpenRound(uint64_t campaign, uint32_t round,
                                                       const std::vector<Phase>& phases) const {
  CT_ASSIGN_OR_RETURN(const CampaignState* found, Campaign(campaign));
  const RoundState& now = found->round;
  if (now.phase == Phase::kIdle) {
    return FailedPrecondition("{} for round {} of campaign {}: no round is open, the last was {}",
                              BodyName(intent), round, campaign, now.number);
  }
  if (now.number != round) {
    return FailedPrecondition("{} for round {} of campaign {}: round {} is open", BodyName(intent),
                              round, campaign, now.number);
  }
  if (std::find(phases.begin(), phases.end(), now.phase) == phases.end()) {
    std::string expected;
    for (const Phase phase : phases) {
      if (!expected.empty()) expected += " or ";
      expected += Name(phase);
    }
    return FailedPrecondition("{} in round {} of campaign {}: the phase is {}, it must be {}",
                              BodyName(intent), round, campaign, Name(now.phase), expected);
  }
  return found;
}

Status State::Rules::Afford(uint64_t account, uint64_t amount, std::string_view what) const {
  const auto available = static_cast<uint64_t>(state.Balance(Avail(account)));
  if (amount <= available) return OkStatus();
  return ResourceExhausted("{} takes {} credits and account {} has {} available: {} are missing",
                           what, amount, account, available, amount - available);
}

StatusOr<const Seat*> State::Rules::SeatOf(const CampaignState& campaign, uint64_t account) const {
  const auto seat = campaign.round.seats.find(account);
  if (seat == campaign.round.seats.end()) {
    return PermissionDenied("account {} was not selected for round {}", account,
                            campaign.round.number);
  }
  return &seat->second;
}

void EndRound(CampaignState* campaign, uint64_t time_ms) {
  campaign->last_salts.clear();
  for (const auto& [account, seat] : campaign->round.seats) {
    if (!seat.salt.empty()) campaign->last_salts.push_back(seat.salt);
  }
  campaign->round.phase = Phase::kIdle;
  campaign->last_round_ms = time_ms;
}

std::string_view Name(Phase phase) {
  switch (phase) {
    case Phase::kIdle:
      return "idle";
    case Phase::kCommit:
      return "commit";
    case Phase::kUpload:
      return "upload";
    case Phase::kAggregated:
      return "aggregated";
    case Phase::kScored:
      return "scored";
  }
  CT_ASSERT(false);
}

std::string_view Name(CampaignPhase phase) {
  switch (phase) {
    case CampaignPhase::kRunning:
      return "running";
    case CampaignPhase::kEnded:
      return "ended";
    case CampaignPhase::kClosed:
      return "closed";
    case CampaignPhase::kReleased:
      return "released";
    case CampaignPhase::kRefunded:
      return "refunded";
  }
  CT_ASSERT(false);
}

}  // namespace crowdteach::ledger
