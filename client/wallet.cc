#include "client/wallet.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "client/records.h"
#include "learning/fixed_point.h"
#include "ledger/reward.h"
#include "ledger/words.h"
#include "proto/base/utc_time.h"

namespace crowdteach::client {
namespace {

using base::WideToDecimal;

// (campaign, round, pass) that were settled.
using Pass = std::tuple<uint64_t, uint32_t, uint32_t>;

std::set<Pass> SettledPasses(const Entries& entries) {
  std::set<Pass> settled;
  for (const ledger::LoggedEntry* logged : entries) {
    if (!logged->intent.has_settle()) continue;
    const v1::Settle& settle = logged->intent.settle();
    settled.emplace(settle.campaign(), settle.round(), settle.pass());
  }
  return settled;
}

const v1::ScoreLine* LineOf(const v1::Score& score, uint64_t account) {
  for (const v1::ScoreLine& line : score.lines()) {
    if (line.account() == account) return &line;
  }
  return nullptr;
}

int64_t Posted(const v1::Entry& entry, v1::BalanceKind kind, uint64_t campaign, uint64_t account) {
  int64_t sum = 0;
  for (const v1::Posting& posting : entry.postings()) {
    if (posting.kind() == kind && posting.campaign() == campaign && posting.account() == account) {
      sum += posting.amount();
    }
  }
  return sum;
}

// The round's entries among those given.
struct RoundEntries {
  const ledger::LoggedEntry* terms = nullptr;
  const ledger::LoggedEntry* score = nullptr;  // the last pass that scores the account
  const ledger::LoggedEntry* settle = nullptr;
  const ledger::LoggedEntry* reject = nullptr;  // of the account
  const ledger::LoggedEntry* commit = nullptr;
};

RoundEntries Find(uint64_t account, const Entries& entries, uint64_t campaign, uint32_t round) {
  RoundEntries found;
  for (const ledger::LoggedEntry* logged : entries) {
    const v1::Intent& intent = logged->intent;
    if (CampaignOf(*logged) != campaign) continue;
    if (intent.has_campaign_open()) found.terms = logged;
    if (RoundOf(intent) != round) continue;
    if (intent.has_score() && LineOf(intent.score(), account) != nullptr) found.score = logged;
    if (intent.has_settle()) found.settle = logged;
    if (intent.has_update_commit() && intent.account() == account) found.commit = logged;
    if (intent.has_update_reject() && intent.update_reject().account() == account) {
      found.reject = logged;
    }
  }
  return found;
}

Status NoScore(const RoundEntries& found, uint64_t account, uint64_t campaign, uint32_t round) {
  const std::string what = fmt::format("round {} of campaign {}", round, campaign);
  if (found.reject != nullptr) {
    return FailedPrecondition(
        "{} did not score account {}: its update was rejected ({}; entry {}); nothing was paid or "
        "charged",
        what, account, ledger::WhyRejected(found.reject->intent.update_reject().reason()),
        found.reject->entry.index());
  }
  if (found.commit != nullptr) {
    return FailedPrecondition(
        "{} has no score of account {} yet, or was aborted: nothing was paid "
        "or charged so far",
        what, account);
  }
  return NotFound(
      "no receipt of {} concerns account {}: it was not drawn for it, or the round is not over",
      what, account);
}

// What the rule makes of the score, given what the account had.
void Compute(const v1::Terms& terms, Explanation* e) {
  e->credits_per_nat = terms.credits_per_nat();
  e->product = static_cast<base::Int128>(e->credits_per_nat) * e->phi_q32;
  e->reward = ledger::Reward(e->credits_per_nat, e->phi_q32);
  e->remainder = static_cast<uint64_t>(e->product - (e->reward << 32));
}

Status Check(const Explanation& e) {
  base::Int128 to_held = e.reward;
  base::Int128 to_stake = 0;
  if (e.uncovered) {
    to_held = -e.held_before;
    to_stake = -e.stake_before;
  } else if (e.reward < 0) {
    const base::Int128 from_held = std::min<base::Int128>(-e.reward, e.held_before);
    to_held = -from_held;
    to_stake = e.reward + from_held;
  }
  if (to_held == e.to_held && to_stake == e.to_stake) return OkStatus();
  return DataLoss(
      "round {} of campaign {}: entry {} posts held {:+}, stake {:+}, but the score and the {} "
      "held "
      "and {} at stake before give held {}, stake {}. Either receipts before it are missing (run "
      "crowdteach wallet without --offline), or the rule was broken: keep the receipts and have "
      "the "
      "log audited",
      e.round, e.campaign, e.posted_index, e.to_held, e.to_stake, e.held_before, e.stake_before,
      WideToDecimal(to_held), WideToDecimal(to_stake));
}

}  // namespace

Wallet MakeWallet(uint64_t account, const Entries& entries) {
  Wallet wallet;
  wallet.account = account;
  std::map<uint64_t, CampaignMoney> campaigns;
  const std::set<Pass> settled = SettledPasses(entries);
  std::map<uint64_t, std::string> names;
  for (const ledger::LoggedEntry* logged : entries) {
    const v1::Intent& intent = logged->intent;
    if (logged->entry.index() == account) wallet.name = intent.account_open().name();
    if (intent.has_campaign_open()) {
      names[logged->entry.index()] = intent.campaign_open().terms().name();
    }
    for (const v1::Posting& posting : logged->entry.postings()) {
      const bool own_campaign = intent.has_campaign_open() && intent.account() == account;
      if (posting.kind() == v1::ESCROW && own_campaign) {
        campaigns[posting.campaign()].escrow += posting.amount();
      }
      if (posting.account() != account) continue;
      if (posting.kind() == v1::AVAIL) wallet.available += posting.amount();
      if (posting.kind() == v1::STAKE) campaigns[posting.campaign()].stake += posting.amount();
      if (posting.kind() == v1::HELD) campaigns[posting.campaign()].held += posting.amount();
      const bool by_round = intent.has_settle() || intent.has_update_reject();
      if (by_round && posting.amount() < 0 && posting.kind() != v1::AVAIL) {
        campaigns[posting.campaign()].charged -= posting.amount();
      }
    }
    const v1::Score& score = intent.score();
    const v1::ScoreLine* line = LineOf(score, account);
    if (line == nullptr || !settled.contains({score.campaign(), score.round(), score.pass()})) {
      continue;
    }
    campaigns[score.campaign()].score_q32 += line->phi_q32();
    campaigns[score.campaign()].rounds++;
  }
  for (auto& [campaign, money] : campaigns) {
    money.campaign = campaign;
    money.name = names[campaign];
    wallet.campaigns.push_back(std::move(money));
  }
  return wallet;
}

StatusOr<Explanation> ExplainRound(uint64_t account, const Entries& entries, uint64_t campaign,
                                   uint32_t round) {
  const RoundEntries found = Find(account, entries, campaign, round);
  if (found.score == nullptr) return NoScore(found, account, campaign, round);
  const v1::Score& score = found.score->intent.score();
  const bool uncovered =
      found.reject != nullptr && found.reject->intent.update_reject().reason() == v1::UNCOVERED;
  const bool settled = !uncovered && found.reject == nullptr && found.settle != nullptr &&
                       found.settle->intent.settle().pass() == score.pass();
  if (!uncovered && found.reject != nullptr) return NoScore(found, account, campaign, round);
  if (!uncovered && !settled) {
    return FailedPrecondition(
        "round {} of campaign {} was scored (entry {}) but is not settled: nothing was paid or "
        "charged so far",
        round, campaign, found.score->entry.index());
  }
  if (found.terms == nullptr) {
    return NotFound("the receipt of campaign {}, whose terms say the rate, is not in the home",
                    campaign);
  }
  const v1::Entry& posted = (uncovered ? found.reject : found.settle)->entry;
  const v1::Terms& terms = found.terms->intent.campaign_open().terms();
  Explanation e;
  e.account = account;
  e.campaign = campaign;
  e.name = terms.name();
  e.round = round;
  e.pass = score.pass();
  e.score_index = found.score->entry.index();
  e.posted_index = posted.index();
  e.terms_index = campaign;
  e.phi_q32 = LineOf(score, account)->phi_q32();
  e.uncovered = uncovered;
  for (const ledger::LoggedEntry* logged : entries) {
    if (logged->entry.index() >= posted.index()) break;
    e.held_before += Posted(logged->entry, v1::HELD, campaign, account);
    e.stake_before += Posted(logged->entry, v1::STAKE, campaign, account);
  }
  e.to_held = Posted(posted, v1::HELD, campaign, account);
  e.to_stake = Posted(posted, v1::STAKE, campaign, account);
  Compute(terms, &e);
  CT_RETURN_IF_ERROR(Check(e));
  return e;
}

std::string ExplanationText(const Explanation& e) {
  const std::string reward = WideToDecimal(e.reward);
  std::string text = fmt::format("round {} of campaign {} “{}”, account {}\n", e.round, e.campaign,
                                 e.name, e.account);
  const auto line = [&text](std::string_view what, uint64_t entry, std::string_view said) {
    const std::string where = entry == 0 ? "" : fmt::format("entry {}", entry);
    text += fmt::format("  {:<14} {:<12} {}\n", what, where, said);
  };
  line("score φ", e.score_index,
       fmt::format("{} / 2^32 = {:+.9f} nats{}", e.phi_q32, learning::FromQ32(e.phi_q32),
                   e.pass > 1 ? fmt::format(" (pass {})", e.pass) : ""));
  line("rate b", e.terms_index, fmt::format("{} credits a nat", e.credits_per_nat));
  line("b · φ", 0, fmt::format("{} / 2^32", WideToDecimal(e.product)));
  line("", 0, fmt::format("= {} + {} / 2^32", reward, e.remainder));
  line("rounded down", 0, fmt::format("{} credits", reward));
  line("before", 0, fmt::format("held {}, stake {}", e.held_before, e.stake_before));
  if (e.uncovered) {
    line("uncovered", e.posted_index,
         fmt::format("the charge is more than held and stake: both, {} + {} = {}, went to the "
                     "treasury, and the update was left out",
                     e.held_before, e.stake_before, e.held_before + e.stake_before));
  } else if (e.reward >= 0) {
    line("paid", e.posted_index, fmt::format("held {:+}", e.to_held));
  } else {
    line("charged", e.posted_index,
         fmt::format("{} = {} from held, then {} from stake", -(e.to_held + e.to_stake), -e.to_held,
                     -e.to_stake));
  }
  line("after", 0,
       fmt::format("held {}, stake {}", e.held_before + e.to_held, e.stake_before + e.to_stake));
  return text;
}

}  // namespace crowdteach::client
