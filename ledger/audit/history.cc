#include "ledger/audit/history.h"

#include <algorithm>
#include <cstdlib>

namespace crowdteach::audit {
namespace {

// What one posting of a campaign's own balances is to its money.
void AddPosting(const v1::Intent& intent, const v1::Posting& posting, CampaignHistory* campaign) {
  Money& money = campaign->money;
  const int64_t amount = posting.amount();
  if (posting.kind() == v1::ESCROW) {
    if (intent.has_campaign_open()) money.budget += amount;
    if (intent.has_release()) money.shared -= amount;
    return;  // a SETTLE's is the sum of what its teachers get and give
  }
  if (intent.has_enrol()) {
    money.staked += amount;
    campaign->stakes[posting.account()] += amount;
    campaign->staked[posting.account()] += amount;
  } else if (intent.has_release()) {
    money.returned -= amount;
  } else {
    if (intent.has_update_reject()) money.lost -= amount;
    if (intent.has_settle()) (amount > 0 ? money.paid : money.charged) += std::abs(amount);
    if (posting.kind() == v1::STAKE) campaign->stakes[posting.account()] += amount;
    campaign->rounds.back().rewards[posting.account()] += amount;
  }
}

void AddMoney(const ledger::LoggedEntry& entry, History* history) {
  const v1::Intent& intent = entry.intent;
  for (const v1::Posting& posting : entry.entry.postings()) {
    const bool of_campaign =
        posting.kind() == v1::STAKE || posting.kind() == v1::HELD || posting.kind() == v1::ESCROW;
    if (of_campaign) {
      AddPosting(intent, posting, &history->campaigns[posting.campaign()]);
    } else if (intent.has_refund()) {
      Money& money = history->campaigns[intent.refund().campaign()].money;
      (posting.kind() == v1::TREASURY ? money.surplus : money.refunded) += posting.amount();
    }
  }
}

Rejection RejectionOf(const ledger::LoggedEntry& entry, const ledger::State& state) {
  Rejection rejection{entry.entry.index(), entry.intent.update_reject(), std::nullopt};
  const ledger::CampaignState* campaign = state.FindCampaign(rejection.body.campaign());
  if (campaign == nullptr) return rejection;
  const auto seat = campaign->round.seats.find(rejection.body.account());
  if (seat != campaign->round.seats.end()) rejection.update = seat->second.update;
  return rejection;
}

}  // namespace

const v1::ScoreLine* Round::CountedScore(uint64_t account) const {
  const bool uncovered =
      std::any_of(rejections.begin(), rejections.end(), [&](const Rejection& rejection) {
        return rejection.body.account() == account && rejection.body.reason() == v1::UNCOVERED;
      });
  if (!uncovered && outcome != RoundOutcome::kSettled) return nullptr;
  for (auto pass = passes.rbegin(); pass != passes.rend(); ++pass) {
    if (!pass->score) continue;
    for (const v1::ScoreLine& line : pass->score->lines()) {
      if (line.account() == account) return &line;
    }
  }
  return nullptr;
}

const Pass* Round::Settled() const {
  return outcome == RoundOutcome::kSettled ? &passes.back() : nullptr;
}

void History::Add(const ledger::LoggedEntry& entry, const ledger::State& state) {
  const v1::Intent& intent = entry.intent;
  const uint64_t index = entry.entry.index();
  const auto round = [this](uint64_t campaign) -> Round& {
    return campaigns[campaign].rounds.back();
  };
  switch (intent.body_case()) {
    case v1::Intent::kCampaignOpen:
      campaigns[index].open_entry = index;
      break;
    case v1::Intent::kCampaignClose:
      campaigns[intent.campaign_close().campaign()].close_entry = index;
      break;
    case v1::Intent::kRoundOpen: {
      Round& opened = campaigns[intent.round_open().campaign()].rounds.emplace_back();
      opened.number = intent.round_open().round();
      opened.open = intent.round_open();
      break;
    }
    case v1::Intent::kUpdateReject:
      round(intent.update_reject().campaign()).rejections.push_back(RejectionOf(entry, state));
      break;
    case v1::Intent::kAggregate:
      round(intent.aggregate().campaign()).passes.push_back({index, intent.aggregate()});
      break;
    case v1::Intent::kScore: {
      Pass& pass = round(intent.score().campaign()).passes.back();
      pass.score_entry = index;
      pass.score = intent.score();
      break;
    }
    case v1::Intent::kSettle:
      round(intent.settle().campaign()).outcome = RoundOutcome::kSettled;
      break;
    case v1::Intent::kRoundAbort: {
      Round& aborted = round(intent.round_abort().campaign());
      aborted.outcome = RoundOutcome::kAborted;
      aborted.aborted = intent.round_abort().reason();
      break;
    }
    default:
      break;
  }
  AddMoney(entry, this);
  if (const auto claim = ClaimOf(entry, state)) claims[*claim].push_back(index);
}

}  // namespace crowdteach::audit
