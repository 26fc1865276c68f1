// Balances and explanations from entries alone are those of the ledger's own state.
#include "client/wallet.h"

#include <random>

#include "ledger/reward.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"

namespace crowdteach::client {
namespace {

using testing::kNat;
using testing::LedgerBuilder;

Entries AllOf(const LedgerBuilder& log) {
  Entries entries;
  for (const ledger::LoggedEntry& logged : log.entries) entries.push_back(&logged);
  return entries;
}

struct World {
  World() {
    owner = log.NewAccount(v1::OWNER);
    log.Issue(owner, 1000);
    v1::CampaignOpen open = testing::SmallCampaign();
    open.mutable_terms()->set_rounds(20);
    campaign = log.OpenCampaign(owner, open);
    for (uint64_t& teacher : teachers) teacher = log.NewTeacher(campaign);
  }
  StatusOr<Explanation> Explain(int teacher, uint32_t round) const {
    return ExplainRound(teachers[teacher], AllOf(log), campaign, round);
  }
  int64_t Balance(v1::BalanceKind kind, uint64_t account) const {
    return log.state.Balance({kind, campaign, account});
  }
  LedgerBuilder log;
  uint64_t owner = 0;
  uint64_t campaign = 0;
  uint64_t teachers[3] = {};
};

const CampaignMoney& MoneyOf(const Wallet& wallet, uint64_t campaign) {
  for (const CampaignMoney& money : wallet.campaigns) {
    if (money.campaign == campaign) return money;
  }
  FAIL("no money in that campaign");
  return wallet.campaigns.front();
}

void RequireSame(const World& world, uint64_t account) {
  const Wallet wallet = MakeWallet(account, AllOf(world.log));
  REQUIRE(wallet.available == world.log.state.Balance({v1::AVAIL, 0, account}));
  const CampaignMoney& money = MoneyOf(wallet, world.campaign);
  REQUIRE(money.held == world.Balance(v1::HELD, account));
  REQUIRE(money.stake == world.Balance(v1::STAKE, account));
  REQUIRE(money.score_q32 == world.log.Campaign(world.campaign).enrolments.at(account).score_q32);
}

TEST_CASE("Random rounds: wallets are the state's balances, and every round is explained") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  World world;
  std::uniform_int_distribution<int64_t> share(-kNat / 8, kNat / 6);
  for (int round = 0; round < 6; ++round) {
    testing::RoundPlan plan;
    for (const uint64_t teacher : world.teachers) plan[teacher] = {.phi_q32 = share(random)};
    if (world.log.Campaign(world.campaign).phase != ledger::CampaignPhase::kRunning) break;
    world.log.RunRound(world.campaign, plan);
    for (const uint64_t teacher : world.teachers) RequireSame(world, teacher);
  }
  const uint32_t rounds = world.log.Campaign(world.campaign).round.number;
  for (int teacher = 0; teacher < 3; ++teacher) {
    int64_t held = 0;
    int64_t stake = 50;
    int64_t charged = 0;
    for (uint32_t round = 1; round <= rounds; ++round) {
      const auto e = world.Explain(teacher, round);
      if (!e.ok()) continue;  // aborted, or it sat out
      REQUIRE(e->held_before == held);
      REQUIRE(e->stake_before == stake);
      held += e->to_held;
      stake += e->to_stake;
      charged -= std::min<int64_t>(e->to_held, 0) + std::min<int64_t>(e->to_stake, 0);
      REQUIRE(e->product == e->reward * (base::Int128{1} << 32) + e->remainder);
      if (!e->uncovered) REQUIRE(e->to_held + e->to_stake == e->reward);
      const std::string text = ExplanationText(*e);
      INFO(text);
      REQUIRE(text.find("held " + std::to_string(held) + ", stake " + std::to_string(stake)) !=
              std::string::npos);
    }
    REQUIRE(held == world.Balance(v1::HELD, world.teachers[teacher]));
    REQUIRE(stake == world.Balance(v1::STAKE, world.teachers[teacher]));
    const Wallet wallet = MakeWallet(world.teachers[teacher], AllOf(world.log));
    REQUIRE(MoneyOf(wallet, world.campaign).charged == charged);
  }
}

TEST_CASE("A charge comes from held first, then from stake, and the text says so") {
  World world;
  const uint64_t ada = world.teachers[0];
  world.log.RunRound(world.campaign, {{ada, {.phi_q32 = kNat / 5}}});   // +20
  world.log.RunRound(world.campaign, {{ada, {.phi_q32 = -kNat / 3}}});  // -34
  const auto paid = world.Explain(0, 1);
  REQUIRE(paid.ok());
  REQUIRE(paid->reward == ledger::Reward(100, kNat / 5));
  REQUIRE(paid->to_held == 19);  // floor(100 * 858993459 / 2^32)
  const auto charged = world.Explain(0, 2);
  REQUIRE(charged.ok());
  REQUIRE(charged->reward == -34);  // rounded toward minus infinity
  REQUIRE(charged->to_held == -19);
  REQUIRE(charged->to_stake == -15);
  const std::string text = ExplanationText(*charged);
  INFO(text);
  REQUIRE(text.find("34 = 19 from held, then 15 from stake") != std::string::npos);
  REQUIRE(text.find("held 0, stake 35") != std::string::npos);
}

TEST_CASE("An uncovered charge takes everything") {
  World world;
  world.log.RunRound(world.campaign, {{world.teachers[0], {.phi_q32 = -kNat}},
                                      {world.teachers[1], {.phi_q32 = kNat}}});
  const auto e = world.Explain(0, 1);
  REQUIRE(e.ok());
  REQUIRE(e->uncovered);
  REQUIRE(e->reward == -100);
  REQUIRE(e->to_stake == -50);
  REQUIRE(ExplanationText(*e).find("treasury") != std::string::npos);
  REQUIRE(world.Explain(1, 1)->pass == 2);
}

TEST_CASE("What cannot be explained says why") {
  World world;
  REQUIRE(absl::IsNotFound(world.Explain(0, 1).status()));
  world.log.RunRound(world.campaign, {{world.teachers[0], {.reveals = false}}});
  const auto rejected = world.Explain(0, 1);
  REQUIRE(absl::IsFailedPrecondition(rejected.status()));
  REQUIRE(Message(rejected.status()).find("committed, but not there by the deadline") !=
          std::string::npos);
  REQUIRE(world.log.ThroughScore(world.campaign, {}));
  REQUIRE(Message(world.Explain(1, 2).status()).find("not settled") != std::string::npos);
}

TEST_CASE("Postings that the rule does not give are found, and so are receipts that are missing") {
  World world;
  const uint64_t ada = world.teachers[0];
  world.log.RunRound(world.campaign, {{ada, {.phi_q32 = kNat / 5}}});
  world.log.RunRound(world.campaign, {{ada, {.phi_q32 = -kNat / 3}}});
  Entries entries = AllOf(world.log);
  // One credit less than the score earns.
  ledger::LoggedEntry settle;
  for (const ledger::LoggedEntry*& logged : entries) {
    if (!logged->intent.has_settle() || logged->intent.settle().round() != 1) continue;
    settle = *logged;
    for (v1::Posting& posting : *settle.entry.mutable_postings()) {
      if (posting.kind() == v1::HELD) posting.set_amount(posting.amount() - 1);
    }
    logged = &settle;
  }
  REQUIRE(absl::IsDataLoss(ExplainRound(ada, entries, world.campaign, 1).status()));
  // Without round 1's settlement, round 2's charge seems to come from stake alone.
  entries = AllOf(world.log);
  std::erase_if(entries, [](const ledger::LoggedEntry* logged) {
    return logged->intent.has_settle() && logged->intent.settle().round() == 1;
  });
  const Status missing = ExplainRound(ada, entries, world.campaign, 2).status();
  REQUIRE(absl::IsDataLoss(missing));
  REQUIRE(Message(missing).find("missing") != std::string::npos);
}

TEST_CASE("After the refund nothing is left in the campaign, also for the owner") {
  World world;
  world.log.RunRound(world.campaign, {{world.teachers[0], {.phi_q32 = kNat / 5}}});
  const Wallet before = MakeWallet(world.owner, AllOf(world.log));
  REQUIRE(before.available == 700);
  REQUIRE(MoneyOf(before, world.campaign).escrow == 300);
  world.log.CloseAndRefund(world.campaign);
  RequireSame(world, world.teachers[0]);
  REQUIRE(MakeWallet(world.owner, AllOf(world.log)).available ==
          world.log.state.Balance({v1::AVAIL, 0, world.owner}));
}

}  // namespace
}  // namespace crowdteach::client
