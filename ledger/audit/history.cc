#include "ledger/audit/history.h"

#include <algorithm>

namespace crowdteach::audit {
namespace {

// Adds what `entry` posts to the teachers' held and stake of its campaigns.
void AddMoney(const ledger::LoggedEntry& entry, History* history) {
  const v1::Intent& intent = entry.intent;
  const bool rewards = intent.has_settle() || intent.has_update_reject();
  if (!rewards && !intent.has_enrol()) return;
  for (const v1::Posting& posting : entry.entry.postings()) {
    if (posting.kind() != v1::STAKE && posting.kind() != v1::HELD) continue;
    CampaignHistory& campaign = history->campaigns[posting.campaign()];
    if (posting.kind() == v1::STAKE) campaign.stakes[posting.account()] += posting.amount();
    if (rewards) campaign.rounds.back().rewards[posting.account()] += posting.amount();
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
