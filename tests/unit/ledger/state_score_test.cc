// AGGREGATE, SCORE, SETTLE, ROUND_ABORT and the cover rule.
#include <functional>

#include "ledger/reward.h"
#include "ledger/round.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::ledger {
namespace {

using absl::StatusCode;
using testing::kNat;
using testing::LedgerBuilder;
using testing::Refused;
using testing::RoundPlan;
using testing::SmallCampaign;

struct Fixture : LedgerBuilder {
  uint64_t owner = NewAccount(v1::OWNER);
  uint64_t campaign = 0;
  uint64_t a = 0, b = 0, c = 0;

  Fixture() { Start(SmallCampaign()); }
  void Start(const v1::CampaignOpen& open) {
    Issue(owner, 1000);
    campaign = OpenCampaign(owner, open);
    a = NewTeacher(campaign);
    b = NewTeacher(campaign);
    c = NewTeacher(campaign);
  }
  const RoundState& Round() const { return Campaign(campaign).round; }
  int64_t Held(uint64_t account) const { return state.Balance({v1::HELD, campaign, account}); }
  int64_t Stake(uint64_t account) const { return state.Balance({v1::STAKE, campaign, account}); }
  int64_t Escrow() const { return state.Balance({v1::ESCROW, campaign, 0}); }
  int64_t Treasury() const { return state.Balance({v1::TREASURY, 0, 0}); }
  Status Reject(uint64_t account, v1::RejectReason reason) {
    return Try(0, RejectOf(campaign, account, reason)).status();
  }
  Status Abort(v1::AbortReason reason) { return Try(0, AbortOf(campaign, reason)).status(); }
};

TEST_CASE("rewards are rounded toward minus infinity") {
  CHECK(Reward(100, kNat) == 100);
  CHECK(Reward(100, -kNat) == -100);
  CHECK(Reward(100, 1) == 0);
  CHECK(Reward(100, -1) == -1);
  CHECK(Reward(3, kNat / 2) == 1);
  CHECK(Reward(3, -kNat / 2) == -2);
  CHECK(Reward(uint64_t{1} << 62, kMaxScoreQ32) == Int128{1} << 92);
}

TEST_CASE_METHOD(Fixture, "AGGREGATE lists exactly the included, as they revealed and weigh") {
  ThroughReveals(campaign, {});
  const v1::Aggregate good = AggregateOf(campaign, {});
  const auto refused = [&](StatusCode code, std::string_view text,
                           const std::function<void(v1::Aggregate*)>& change) {
    v1::Aggregate bad = good;
    change(&bad);
    return Refused(Try(0, bad), code, text);
  };
  CHECK(Refused(Try(a, good), StatusCode::kPermissionDenied, "the operator's to say"));
  CHECK(refused(StatusCode::kFailedPrecondition, "the next is 1",
                [](v1::Aggregate* g) { g->set_pass(2); }));
  CHECK(refused(StatusCode::kInvalidArgument, "2 lines: 3 updates are to be aggregated",
                [](v1::Aggregate* g) { g->mutable_lines()->RemoveLast(); }));
  CHECK(refused(StatusCode::kInvalidArgument, "line 2 is account",
                [&](v1::Aggregate* g) { g->mutable_lines(2)->set_account(c + 1); }));
  CHECK(refused(StatusCode::kInvalidArgument, "it revealed", [](v1::Aggregate* g) {
    g->mutable_lines(0)->set_update_digest(std::string(32, 'x'));
  }));
  CHECK(refused(StatusCode::kInvalidArgument, "ROUND_OPEN says 1",
                [](v1::Aggregate* g) { g->mutable_lines(0)->set_weight(2); }));
  CHECK(refused(StatusCode::kInvalidArgument, "its norm and the cap give 0",
                [](v1::Aggregate* g) { g->mutable_lines(0)->set_clip_factor(1); }));
  const Int128 cap = 1 << 20;
  CHECK(refused(StatusCode::kInvalidArgument, "its norm and the cap give", [&](v1::Aggregate* g) {
    g->mutable_lines(0)->set_norm_squared(base::EncodeWide(cap * cap + 1));
  }));
  v1::Aggregate clipped = good;
  clipped.mutable_lines(0)->set_norm_squared(base::EncodeWide(4 * cap * cap));
  // floor(2^20 * 2^32 / (2^21 + 1))
  clipped.mutable_lines(0)->set_clip_factor(((uint64_t{1} << 52)) / ((1 << 21) + 1));
  CHECK(Try(0, clipped).ok());
  CHECK(Round().phase == Phase::kAggregated);
}

TEST_CASE("clip factors at the ends: at the cap, and never 0 when clipped") {
  Fixture log;
  v1::CampaignOpen open = SmallCampaign();
  open.mutable_terms()->set_norm_cap(1);
  log.Start(open);
  log.ThroughReveals(log.campaign, {});
  v1::Aggregate aggregate = log.AggregateOf(log.campaign, {});
  aggregate.mutable_lines(0)->set_norm_squared(base::EncodeWide(Int128{1} << 92));
  CHECK(Refused(log.Try(0, aggregate), StatusCode::kInvalidArgument, "the cap give 1"));
  aggregate.mutable_lines(0)->set_clip_factor(1);
  CHECK(log.Try(0, aggregate).ok());
}

TEST_CASE("norm-rule reject: AGGREGATE waits for the rejection") {
  Fixture log;
  v1::CampaignOpen open = SmallCampaign();
  open.mutable_terms()->set_norm_rule(v1::REJECT);
  log.Start(open);
  log.ThroughReveals(log.campaign, {});
  const Int128 over = (Int128{1} << 40) + 1;
  CHECK(Refused(log.Try(0, log.AggregateOf(log.campaign, {{log.a, {.norm_squared = over}}})),
                StatusCode::kFailedPrecondition, "over the norm cap: reject it first"));
  CHECK(log.Reject(log.a, v1::NORM).ok());
  CHECK(log.Try(0, log.AggregateOf(log.campaign, {{log.b, {.norm_squared = over - 1}}})).ok());
}

TEST_CASE_METHOD(Fixture, "SCORE follows its aggregate, and the scores add up to the value") {
  const RoundPlan plan = {{a, {.phi_q32 = 5}}, {b, {.phi_q32 = -2}}};
  ThroughReveals(campaign, plan);
  CHECK(Refused(Try(0, ScoreOf(campaign, plan)), StatusCode::kInvalidArgument, "pass is absent"));
  Say(0, AggregateOf(campaign, plan));
  const v1::Score good = ScoreOf(campaign, plan);
  const auto refused = [&](StatusCode code, std::string_view text,
                           const std::function<void(v1::Score*)>& change) {
    v1::Score bad = good;
    change(&bad);
    return Refused(Try(0, bad), code, text);
  };
  const auto invalid = StatusCode::kInvalidArgument;
  CHECK(refused(StatusCode::kFailedPrecondition, "the round is in pass 1",
                [](v1::Score* s) { s->set_pass(2); }));
  CHECK(refused(invalid, "scorer", [](v1::Score* s) { s->set_scorer_version(2); }));
  CHECK(refused(invalid, "before the step", [](v1::Score* s) { s->set_loss_before_q32(1); }));
  CHECK(refused(invalid, "before the step", [](v1::Score* s) { s->set_correct_before(1); }));
  CHECK(refused(invalid, "add up to 3, the loss fell by 2",
                [](v1::Score* s) { s->set_loss_after_q32(s->loss_after_q32() + 1); }));
  CHECK(refused(invalid, "below 2^20 nats",
                [](v1::Score* s) { s->set_loss_after_q32(uint64_t{1} << 52); }));
  CHECK(refused(invalid, "101 correct of 100", [](v1::Score* s) { s->set_correct_after(101); }));
  CHECK(refused(invalid, "path_nodes 4", [](v1::Score* s) { s->set_path_nodes(4); }));
  CHECK(refused(invalid, "gradient_bits 61", [](v1::Score* s) { s->set_gradient_bits(61); }));
  CHECK(refused(invalid, "gradient's digest", [](v1::Score* s) { s->clear_gradient_digest(); }));
  CHECK(refused(invalid, "the model has changed", [](v1::Score* s) { s->set_path_nodes(0); }));
  CHECK(refused(invalid, "is not the aggregate's line",
                [](v1::Score* s) { s->mutable_lines(0)->set_weight(2); }));
  CHECK(refused(invalid, "is not the aggregate's line",
                [](v1::Score* s) { s->mutable_lines(0)->set_clip_factor(2); }));
  CHECK(refused(invalid, "2 lines: the aggregate has 3",
                [](v1::Score* s) { s->mutable_lines()->RemoveLast(); }));
  CHECK(refused(invalid, "with D = E = 0", [](v1::Score* s) {
    s->mutable_lines(0)->clear_d();
    s->mutable_lines(0)->clear_e();
  }));
  CHECK(Refused(Try(0, SettleOf(campaign)), StatusCode::kFailedPrecondition, "must be scored"));
  Say(0, good);
  CHECK(Refused(Try(0, good), StatusCode::kFailedPrecondition, "it must be aggregated"));
}

TEST_CASE_METHOD(Fixture, "SETTLE pays and charges, and moves the model on") {
  ThroughScore(campaign, {{a, {.phi_q32 = kNat}}, {b, {.phi_q32 = -kNat / 4}}});
  const auto preview = *Settlement(state, campaign, Round().score);
  CHECK(Uncovered(state, campaign).empty());
  v1::Settle wrong = SettleOf(campaign);
  wrong.set_parts(2);
  CHECK(Refused(Try(0, wrong), StatusCode::kFailedPrecondition, "must be pass 1 part 0 of 1"));
  CHECK(Refused(Try(0, AggregateOf(campaign, {})), StatusCode::kFailedPrecondition,
                "nobody was rejected in pass 1"));
  for (const v1::AbortReason reason : {v1::COVER_QUORUM, v1::SCORE_RANGE, v1::WORKER_FAILED}) {
    INFO(v1::AbortReason_Name(reason));
    CHECK(Abort(reason).code() == StatusCode::kFailedPrecondition);
  }
  Say(0, SettleOf(campaign));
  CHECK(static_cast<size_t>(entries.back().entry.postings_size()) == preview.size());
  CHECK(Held(a) == 100);
  CHECK(Stake(b) == 25);
  CHECK(Escrow() == 300 - 75);
  const CampaignState& now = Campaign(campaign);
  CHECK(now.loss_q32 == static_cast<uint64_t>(2 * kNat - kNat + kNat / 4));
  CHECK(base::View(now.model_digest) == now.round.aggregate.model_digest());
  CHECK(now.enrolments.at(b).score_q32 == -kNat / 4);
  CHECK(now.settled_rounds == 1);

  // A charge takes what is held first, then the stake.
  RunRound(campaign, {{a, {.phi_q32 = -kNat / 10 * 11}}});
  CHECK(Held(a) == 0);
  CHECK(Stake(a) == 50 - 10);
  CHECK(Escrow() == 225 + 110);
  RunRound(campaign, {});
  CHECK(Campaign(campaign).phase == CampaignPhase::kEnded);
}

TEST_CASE_METHOD(Fixture, "a void step keeps the model and posts nothing") {
  ThroughReveals(campaign, {});
  v1::Aggregate aggregate = AggregateOf(campaign, {});
  aggregate.set_model_digest(base::Bytes(Campaign(campaign).model_digest));
  Say(0, aggregate);
  v1::Score score = ScoreOf(campaign, {});
  score.set_path_nodes(0);
  CHECK(Refused(Try(0, score), StatusCode::kInvalidArgument, "a void step"));
  score.clear_gradient_bits();
  score.clear_gradient_digest();
  for (v1::ScoreLine& line : *score.mutable_lines()) {
    line.clear_d();
    line.clear_e();
  }
  Say(0, score);
  Say(0, SettleOf(campaign));
  CHECK(entries.back().entry.postings_size() == 0);
  CHECK(Campaign(campaign).settled_rounds == 1);
}

TEST_CASE_METHOD(Fixture, "the cover rule: all uncovered at once, in order, to the treasury") {
  v1::CampaignOpen open = SmallCampaign();
  open.mutable_terms()->set_quorum(1);
  Start(open);
  const RoundPlan uncovered = {
      {a, {.phi_q32 = -kNat}}, {b, {.phi_q32 = -kNat / 100 * 51}}, {c, {.phi_q32 = kNat}}};
  ThroughScore(campaign, uncovered);
  CHECK(Uncovered(state, campaign) == std::vector<uint64_t>{a, b});
  CHECK(Refused(Try(0, SettleOf(campaign)), StatusCode::kFailedPrecondition,
                "reject it as uncovered"));
  CHECK(Refused(Try(0, AggregateOf(campaign, uncovered)), StatusCode::kFailedPrecondition,
                "is uncovered: reject it first"));
  CHECK(Refused(Abort(v1::WORKER_FAILED), StatusCode::kFailedPrecondition, "is uncovered"));
  CHECK(
      Refused(Abort(v1::SCORE_RANGE), StatusCode::kFailedPrecondition, "they are rejected first"));
  CHECK(Refused(Reject(b, v1::UNCOVERED), StatusCode::kFailedPrecondition,
                fmt::format("uncovered teacher: {} is", a)));
  CHECK(Refused(Reject(c, v1::UNCOVERED), StatusCode::kFailedPrecondition, "not the next"));
  v1::UpdateReject wrong = RejectOf(campaign, a, v1::UNCOVERED);
  wrong.set_pass(2);
  CHECK(Refused(Try(0, wrong), StatusCode::kInvalidArgument, "the round is in pass 1"));
  CHECK(Reject(a, v1::UNCOVERED).ok());
  CHECK(Refused(Try(0, SettleOf(campaign)), StatusCode::kFailedPrecondition, "uncovered"));
  CHECK(Reject(b, v1::UNCOVERED).ok());
  CHECK(Refused(Try(0, SettleOf(campaign)), StatusCode::kFailedPrecondition,
                "AGGREGATE the next pass"));
  CHECK(Treasury() == 100);
  CHECK(Stake(a) + Stake(b) == 0);
  CHECK(Refused(Abort(v1::COVER_QUORUM), StatusCode::kFailedPrecondition, "go on with AGGREGATE"));
  v1::Aggregate second = AggregateOf(campaign, uncovered);
  second.mutable_lines(0)->set_norm_squared(base::EncodeWide(2));
  CHECK(Refused(Try(0, second), StatusCode::kInvalidArgument, "is not that of pass 1"));
  Say(0, AggregateOf(campaign, uncovered));
  Say(0, ScoreOf(campaign, uncovered));
  Say(0, SettleOf(campaign));
  CHECK(Held(c) == 100);
  CHECK(Escrow() == 200);
}

TEST_CASE_METHOD(Fixture, "exactly the cover is covered") {
  ThroughScore(campaign, {{a, {.phi_q32 = -kNat / 2}}});
  CHECK(Uncovered(state, campaign).empty());
  Say(0, SettleOf(campaign));
  CHECK(Stake(a) == 0);
}

TEST_CASE_METHOD(Fixture, "below quorum after uncovered charges the round aborts; charges stay") {
  RunRound(campaign, {{a, {.phi_q32 = -kNat}}, {b, {.phi_q32 = -kNat}}, {c, {.phi_q32 = kNat}}});
  CHECK(Treasury() == 100);
  CHECK(Escrow() == 300);
  CHECK(Round().phase == Phase::kIdle);
  CHECK(Campaign(campaign).settled_rounds == 0);
  CHECK(Campaign(campaign).aborts_in_row == 1);
  CHECK(Campaign(campaign).loss_q32 == 2 * static_cast<uint64_t>(kNat));
}

TEST_CASE_METHOD(Fixture, "a pair that raises the loss and lowers it again earns nothing") {
  // Each time a fresh identity with a small deposit raises the loss by far more than its cover.
  int64_t paid = 0;
  for (int round = 0; round < 3; ++round) {
    const uint64_t raiser = NewTeacher(campaign);
    RunRound(campaign, {{raiser, {.phi_q32 = -5 * kNat}}});
    CHECK(Campaign(campaign).loss_q32 == 2 * static_cast<uint64_t>(kNat));
    paid += Held(b);
  }
  CHECK(paid == 0);
  CHECK(Escrow() == 300);
  CHECK(Treasury() >= 50);
}

TEST_CASE_METHOD(Fixture, "DIVERGES: rejected after AGGREGATE, then the next pass without it") {
  ThroughReveals(campaign, {});
  Say(0, AggregateOf(campaign, {}));
  CHECK(Refused(Try(0, AggregateOf(campaign, {})), StatusCode::kFailedPrecondition,
                "nobody was rejected in pass 1"));
  CHECK(Refused(Abort(v1::REVEAL_QUORUM), StatusCode::kFailedPrecondition, "nobody was rejected"));
  CHECK(Reject(a, v1::DIVERGES).ok());
  CHECK(Refused(Try(0, ScoreOf(campaign, {})), StatusCode::kFailedPrecondition,
                "AGGREGATE the next pass"));
  CHECK(Refused(Abort(v1::NOT_FINITE), StatusCode::kFailedPrecondition, "was rejected"));
  Say(0, AggregateOf(campaign, {}));
  CHECK(Round().pass == 2);
  CHECK(Reject(b, v1::DIVERGES).ok());
  CHECK(Refused(Try(0, AggregateOf(campaign, {})), StatusCode::kFailedPrecondition,
                "1 updates are left"));
  CHECK(Abort(v1::REVEAL_QUORUM).ok());
}

TEST_CASE_METHOD(Fixture, "aborts that need nothing recorded: NOT_FINITE, WORKER_FAILED") {
  ThroughCommits(campaign, {});
  CHECK(Refused(Abort(v1::WORKER_FAILED), StatusCode::kFailedPrecondition,
                "neither revealed nor been rejected"));
  CHECK(Refused(Abort(v1::NOT_FINITE), StatusCode::kFailedPrecondition, "must be aggregated"));
  for (const uint64_t account : {a, b, c}) Say(account, RevealOf(campaign, account, {}));
  CHECK(Refused(Abort(v1::REVEAL_QUORUM), StatusCode::kFailedPrecondition, "go on"));
  Say(0, AggregateOf(campaign, {}));
  CHECK(Abort(v1::NOT_FINITE).ok());
  ThroughReveals(campaign, {});
  CHECK(Abort(v1::WORKER_FAILED).ok());
  CHECK(Campaign(campaign).phase == CampaignPhase::kEnded);
}

TEST_CASE("a score beyond 2^62 aborts the round, one below -2^62 is uncovered") {
  Fixture log;
  v1::CampaignOpen open = SmallCampaign();
  open.mutable_terms()->set_credits_per_nat(1);
  open.mutable_terms()->set_stake(int64_t{1} << 33);
  log.Issue(0, uint64_t{1} << 36);
  log.Start(open);
  const int64_t huge = (int64_t{1} << 62) + 1;
  const auto score = [&](uint64_t up, int64_t phi_up, uint64_t down, int64_t phi_down) {
    log.ThroughScore(log.campaign, {{up, {.phi_q32 = phi_up}}, {down, {.phi_q32 = phi_down}}});
  };
  score(log.a, huge, log.b, -huge);
  CHECK(Uncovered(log.state, log.campaign) == std::vector<uint64_t>{log.b});
  log.Say(0, log.RejectOf(log.campaign, log.b, v1::UNCOVERED));
  log.Say(0, log.AggregateOf(log.campaign, {}));
  CHECK(log.Abort(v1::WORKER_FAILED).ok());

  // a's 2^62 + 1 is carried by the charges of c and a fresh teacher, each within its stake.
  const uint64_t d = log.NewTeacher(log.campaign);
  log.ThroughScore(log.campaign, {{log.a, {.phi_q32 = huge}},
                                  {log.c, {.phi_q32 = -huge / 2}},
                                  {d, {.phi_q32 = -huge + huge / 2}}});
  CHECK(Uncovered(log.state, log.campaign).empty());
  CHECK(Refused(log.Try(0, log.SettleOf(log.campaign)), StatusCode::kOutOfRange,
                "is beyond 2^62 units"));
  CHECK(Refused(log.Abort(v1::WORKER_FAILED), StatusCode::kFailedPrecondition, "it stands"));
  CHECK(log.Abort(v1::SCORE_RANGE).ok());
}

}  // namespace
}  // namespace crowdteach::ledger
