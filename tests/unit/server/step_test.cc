// When Step proposes what, phase by phase, over histories that are legal by construction.
#include "server/round/step.h"

#include <algorithm>
#include <functional>

#include "ledger/round.h"
#include "proto/base/bytes.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::server {
namespace {

using ledger::Phase;
using testing::kNat;
using testing::LedgerBuilder;
using testing::Refused;
using testing::RoundPlan;

constexpr uint64_t kCloseMs = 60'000;

// A small campaign (4 wanted, quorum 2, phases of 1,000 ms) with its engine state.
struct World {
  explicit World(size_t teachers, const std::function<void(v1::Terms&)>& edit = {}) {
    v1::CampaignOpen open = testing::SmallCampaign();
    open.mutable_terms()->set_close_ms(kCloseMs);
    open.mutable_terms()->set_retention_ms(2 * kCloseMs);
    if (edit) edit(*open.mutable_terms());
    const uint64_t owner = log.NewAccount(v1::OWNER);
    log.Issue(owner, static_cast<uint64_t>(open.terms().budget()));
    id = log.OpenCampaign(owner, open);
    for (size_t i = 0; i < teachers; ++i) connected.push_back(log.NewTeacher(id));
  }

  const ledger::CampaignState& Now() const { return log.Campaign(id); }
  const ledger::RoundState& Round() const { return Now().round; }

  StepResult Feed(const Event& event) {
    StepResult result = Step(engine, event, log.state, id, {log.now_ms, connected});
    engine = result.next;
    return result;
  }
  StepResult Wakes() { return Feed(Wake{}); }
  StepResult WakesAt(uint64_t now_ms) {
    log.now_ms = now_ms;
    return Wakes();
  }
  // Logs what is proposed, in order.
  void Log(const StepResult& result) {
    for (const Effect& effect : result.effects) {
      const auto* propose = std::get_if<Propose>(&effect);
      REQUIRE(propose != nullptr);
      const auto logged = log.Try(0, propose->body);
      INFO(logged.status().ToString() << "\n" << propose->body.ShortDebugString());
      REQUIRE(logged.ok());
    }
  }

  LedgerBuilder log;
  uint64_t id = 0;
  std::vector<uint64_t> connected;
  EngineState engine;
};

bool Quiet(const StepResult& result) { return result.effects.empty(); }

const v1::Intent& Proposed(const StepResult& result) {
  REQUIRE(result.effects.size() == 1);
  const auto* propose = std::get_if<Propose>(&result.effects.front());
  REQUIRE(propose != nullptr);
  return propose->body;
}

v1::AbortReason AbortOf(const StepResult& result) {
  REQUIRE(Proposed(result).has_round_abort());
  return Proposed(result).round_abort().reason();
}

// The accounts of a list of UPDATE_REJECTs of one reason.
std::vector<uint64_t> RejectsOf(const StepResult& result, v1::RejectReason reason) {
  std::vector<uint64_t> accounts;
  for (const Effect& effect : result.effects) {
    const auto* propose = std::get_if<Propose>(&effect);
    REQUIRE(propose != nullptr);
    REQUIRE(propose->body.has_update_reject());
    REQUIRE(propose->body.update_reject().reason() == reason);
    accounts.push_back(propose->body.update_reject().account());
  }
  return accounts;
}

bool Starts(const StepResult& result, uint32_t aggregate_pass) {
  if (result.effects.size() != 1) return false;
  const auto* start = std::get_if<StartAggregate>(&result.effects.front());
  return start != nullptr && start->pass == aggregate_pass;
}

bool StartsScore(const StepResult& result, uint32_t pass) {
  if (result.effects.size() != 1) return false;
  const auto* start = std::get_if<StartScore>(&result.effects.front());
  return start != nullptr && start->pass == pass;
}

TEST_CASE("The first round waits for as many as it wants, up to commit-ms") {
  World world(4);
  const uint64_t start = world.log.now_ms;
  const std::vector<uint64_t> all = world.connected;

  world.connected = {all[2]};
  StepResult waiting = world.Wakes();
  REQUIRE(Quiet(waiting));
  REQUIRE(waiting.wake_ms == start + kCloseMs);
  REQUIRE(waiting.next.gather_until_ms == 0);

  world.connected = {all[3], all[2]};
  waiting = world.WakesAt(start + 10);
  REQUIRE(Quiet(waiting));
  REQUIRE(waiting.wake_ms == start + 1010);

  SECTION("all have come") {
    world.connected = {all[3], all[2], all[0], all[1], all[0]};
    const StepResult opened = world.WakesAt(start + 20);
    const v1::RoundOpen& open = Proposed(opened).round_open();
    REQUIRE(std::vector<uint64_t>(open.candidates().begin(), open.candidates().end()) == all);
    world.Log(opened);
    REQUIRE(world.Round().phase == Phase::kCommit);
  }
  SECTION("the time is over: those who are there") {
    REQUIRE(Quiet(world.WakesAt(start + 1009)));
    const StepResult opened = world.WakesAt(start + 1010);
    REQUIRE(Proposed(opened).round_open().selected_size() == 2);
    world.Log(opened);
  }
  SECTION("below the quorum again: the waiting begins anew") {
    world.connected = {all[3]};
    REQUIRE(world.WakesAt(start + 500).next.gather_until_ms == 0);
    world.connected = {all[3], all[1]};
    REQUIRE(world.WakesAt(start + 900).wake_ms == start + 1900);
  }
  SECTION("strangers and the uncovered do not count") {
    world.connected = {all[3], 0, 1, 9999};
    REQUIRE(world.Wakes().wake_ms == start + kCloseMs);
  }
}

TEST_CASE("Later rounds wait only for those who could come") {
  World world(3, [](v1::Terms& terms) { terms.set_commit_ms(10'000); });
  world.log.RunRound(world.id, {});
  const uint64_t settled = world.Now().last_round_ms;
  const std::vector<uint64_t> all = world.connected;

  SECTION("three of the four wanted are all there are") {
    REQUIRE(Proposed(world.Wakes()).has_round_open());
  }
  SECTION("one is away: briefly") {
    world.connected = {all[0], all[1]};
    const StepResult waiting = world.WakesAt(settled + 5);
    REQUIRE(Quiet(waiting));
    REQUIRE(waiting.wake_ms == settled + 5 + 2000);
    REQUIRE(Proposed(world.WakesAt(settled + 5 + 2000)).round_open().selected_size() == 2);
  }
}

TEST_CASE("Commit: closes when all have committed, at the deadline, or aborts") {
  World world(4);
  world.Log(world.Wakes());
  const uint64_t deadline = world.log.now_ms + 1000;
  const auto commit = [&](size_t i) {
    world.log.Say(world.connected[i], world.log.CommitOf(world.id, world.connected[i], {}));
  };
  const StepResult open = world.Wakes();
  REQUIRE(Quiet(open));
  REQUIRE(open.wake_ms == deadline);
  REQUIRE(open.next.deadline_ms == deadline);

  SECTION("all: at once") {
    for (size_t i = 0; i < 4; ++i) commit(i);
    const StepResult closed = world.Wakes();
    REQUIRE(Proposed(closed).round_commit_close().count() == 4);
    world.Log(closed);
    REQUIRE(world.Round().phase == Phase::kUpload);
  }
  SECTION("a quorum: at the deadline") {
    commit(3);
    commit(1);
    REQUIRE(Quiet(world.WakesAt(deadline - 1)));
    const StepResult closed = world.WakesAt(deadline);
    REQUIRE(Proposed(closed).round_commit_close().count() == 2);
    world.Log(closed);
  }
  SECTION("too few: aborted at the deadline, and after max-aborts the campaign has ended") {
    commit(0);
    REQUIRE(Quiet(world.WakesAt(deadline - 1)));
    const StepResult aborted = world.WakesAt(deadline);
    REQUIRE(AbortOf(aborted) == v1::COMMIT_QUORUM);
    world.Log(aborted);
    world.Log(world.Wakes());
    REQUIRE(world.Round().number == 2);
    const uint64_t second = world.Wakes().wake_ms;
    REQUIRE(second == deadline + 1000);
    world.Log(world.WakesAt(second));
    REQUIRE(world.Now().phase == ledger::CampaignPhase::kEnded);
    const StepResult ended = world.Wakes();
    REQUIRE(Quiet(ended));
    REQUIRE(ended.wake_ms == second + kCloseMs);
  }
}

TEST_CASE("Upload: waits for reveals, then rejects the missing, then duplicates, then aggregates") {
  World world(4);
  const std::vector<uint64_t>& all = world.connected;
  RoundPlan plans;
  plans[all[1]].update = 7;
  plans[all[3]].update = 7;  // committed later than 1: its copy
  REQUIRE(world.log.ThroughCommits(world.id, plans));
  const uint64_t deadline = world.log.now_ms + 1000;
  const auto reveal = [&](size_t i) {
    world.log.Say(all[i], world.log.RevealOf(world.id, all[i], plans[all[i]]));
  };
  const StepResult open = world.Wakes();
  REQUIRE(Quiet(open));
  REQUIRE(open.wake_ms == deadline);

  SECTION("all revealed") {
    for (size_t i = 0; i < 4; ++i) reveal(i);
    const StepResult rejected = world.Wakes();
    REQUIRE(RejectsOf(rejected, v1::DUPLICATE) == std::vector<uint64_t>{all[3]});
    world.Log(rejected);
    REQUIRE(Starts(world.Wakes(), 1));
    const StepResult running = world.Wakes();
    REQUIRE(Quiet(running));
    REQUIRE(running.wake_ms == 0);
  }
  SECTION("one is missing") {
    reveal(1);
    reveal(3);
    reveal(0);
    REQUIRE(Quiet(world.WakesAt(deadline - 1)));
    const StepResult missing = world.WakesAt(deadline);
    REQUIRE(RejectsOf(missing, v1::NO_REVEAL) == std::vector<uint64_t>{all[2]});
    world.Log(missing);
    world.Log(world.Wakes());  // DUPLICATE
    REQUIRE(Starts(world.Wakes(), 1));
  }
  SECTION("too few are left") {
    reveal(1);
    reveal(3);
    world.Log(world.WakesAt(deadline));
    world.Log(world.Wakes());
    const StepResult aborted = world.Wakes();
    REQUIRE(AbortOf(aborted) == v1::REVEAL_QUORUM);
    world.Log(aborted);
    REQUIRE(world.Round().phase == Phase::kIdle);
  }
}

TEST_CASE("Open commitments: the round starts with the uploads") {
  World world(4, [](v1::Terms& terms) { terms.set_open_commitments(true); });
  world.Log(world.Wakes());
  REQUIRE(world.Round().phase == Phase::kUpload);
  const StepResult open = world.Wakes();
  REQUIRE(Quiet(open));
  REQUIRE(open.wake_ms == ledger::UploadDeadlineMs(world.Now()));
  REQUIRE(RejectsOf(world.WakesAt(open.wake_ms), v1::NO_REVEAL) == world.connected);
}

TEST_CASE("Aggregate, score, settle: one job at a time") {
  World world(4);
  REQUIRE(world.log.ThroughReveals(world.id, {}));
  REQUIRE(Starts(world.Wakes(), 1));
  REQUIRE(Quiet(world.Wakes()));

  v1::Aggregate aggregate = world.log.AggregateOf(world.id, {});
  aggregate.clear_campaign();  // Step says who, which round and which pass
  aggregate.clear_round();
  aggregate.clear_pass();
  const StepResult aggregated = world.Feed(AggregateDone{aggregate});
  REQUIRE(Proposed(aggregated).aggregate().pass() == 1);
  world.Log(aggregated);
  REQUIRE(StartsScore(world.Wakes(), 1));
  REQUIRE(Quiet(world.Wakes()));

  v1::Score score = world.log.ScoreOf(world.id, {{world.connected[0], {.phi_q32 = kNat / 10}}});
  score.clear_campaign();
  score.clear_round();
  score.clear_pass();
  world.Log(world.Feed(ScoreDone{score}));
  const StepResult settled = world.Wakes();
  REQUIRE(Proposed(settled).settle().parts() == 1);
  world.Log(settled);
  REQUIRE(world.Now().settled_rounds == 1);
  REQUIRE(Proposed(world.Wakes()).round_open().round() == 2);
}

TEST_CASE("The uncovered are rejected, and the round goes on without them") {
  World world(4);
  const std::vector<uint64_t>& all = world.connected;
  RoundPlan plans;
  // 100 credits a nat, 50 staked: one nat cannot be paid.
  plans[all[1]].phi_q32 = -kNat;

  SECTION("enough are left: the next pass") {
    REQUIRE(world.log.ThroughScore(world.id, plans));
    const StepResult rejected = world.Wakes();
    REQUIRE(RejectsOf(rejected, v1::UNCOVERED) == std::vector<uint64_t>{all[1]});
    world.Log(rejected);
    REQUIRE(Starts(world.Wakes(), 2));
    world.Log(world.Feed(AggregateDone{world.log.AggregateOf(world.id, {})}));
    REQUIRE(StartsScore(world.Wakes(), 2));
    world.Log(world.Feed(ScoreDone{world.log.ScoreOf(world.id, {})}));
    REQUIRE(Proposed(world.Wakes()).settle().pass() == 2);
  }
  SECTION("too few are left: COVER_QUORUM") {
    plans[all[0]].phi_q32 = plans[all[2]].phi_q32 = -kNat;
    REQUIRE(world.log.ThroughScore(world.id, plans));
    world.Log(world.Wakes());
    const StepResult aborted = world.Wakes();
    REQUIRE(AbortOf(aborted) == v1::COVER_QUORUM);
    world.Log(aborted);
  }
}

TEST_CASE("Updates that diverge are rejected, then the next pass or an abort") {
  World world(4);
  const std::vector<uint64_t>& all = world.connected;
  REQUIRE(world.log.ThroughReveals(world.id, {}));
  REQUIRE(Starts(world.Wakes(), 1));
  world.Log(world.Feed(AggregateDone{world.log.AggregateOf(world.id, {})}));
  REQUIRE(StartsScore(world.Wakes(), 1));

  SECTION("one") {
    const StepResult rejected = world.Feed(Diverging{{all[2]}});
    REQUIRE(RejectsOf(rejected, v1::DIVERGES) == std::vector<uint64_t>{all[2]});
    world.Log(rejected);
    REQUIRE(Starts(world.Wakes(), 2));
  }
  SECTION("nearly all") {
    const StepResult rejected = world.Feed(Diverging{{all[3], all[0], all[1]}});
    REQUIRE(RejectsOf(rejected, v1::DIVERGES) == std::vector<uint64_t>{all[0], all[1], all[3]});
    world.Log(rejected);
    const StepResult aborted = world.Wakes();
    REQUIRE(AbortOf(aborted) == v1::REVEAL_QUORUM);
    world.Log(aborted);
  }
}

TEST_CASE("A worker's failure is tried again once; other failures abort at once") {
  World world(4);
  REQUIRE(world.log.ThroughReveals(world.id, {}));
  REQUIRE(Starts(world.Wakes(), 1));

  SECTION("twice in a row") {
    REQUIRE(Starts(world.Feed(JobFailed{v1::WORKER_FAILED}), 1));
    const StepResult aborted = world.Feed(JobFailed{v1::WORKER_FAILED});
    REQUIRE(AbortOf(aborted) == v1::WORKER_FAILED);
    world.Log(aborted);
    REQUIRE(world.engine.job_failures == 0);
  }
  SECTION("a success between counts") {
    REQUIRE(Starts(world.Feed(JobFailed{v1::WORKER_FAILED}), 1));
    world.Log(world.Feed(AggregateDone{world.log.AggregateOf(world.id, {})}));
    REQUIRE(StartsScore(world.Wakes(), 1));
    REQUIRE(StartsScore(world.Feed(JobFailed{v1::WORKER_FAILED}), 1));
  }
  SECTION("the numbers") {
    world.Log(world.Feed(AggregateDone{world.log.AggregateOf(world.id, {})}));
    REQUIRE(StartsScore(world.Wakes(), 1));
    const v1::AbortReason reason = GENERATE(v1::NOT_FINITE, v1::SCORE_RANGE);
    const StepResult aborted = world.Feed(JobFailed{reason});
    REQUIRE(AbortOf(aborted) == reason);
    world.Log(aborted);
  }
}

TEST_CASE("A recorded score that cannot be settled aborts") {
  // One credit a nat, so that 2^30 nats can be staked for: the loser is covered.
  World world(4, [](v1::Terms& terms) {
    terms.set_credits_per_nat(1);
    terms.set_stake(uint64_t{1} << 31);
  });
  RoundPlan plans;
  plans[world.connected[0]].phi_q32 = (int64_t{1} << 62) + 1;
  plans[world.connected[1]].phi_q32 = -(int64_t{1} << 62);
  REQUIRE(world.log.ThroughScore(world.id, plans));
  const StepResult aborted = world.Wakes();
  REQUIRE(AbortOf(aborted) == v1::SCORE_RANGE);
  world.Log(aborted);
}

TEST_CASE("After downtime every deadline moves, by no more than the phase's length") {
  World world(4);
  world.Log(world.Wakes());
  const uint64_t opened = world.log.now_ms;
  REQUIRE(world.Wakes().wake_ms == opened + 1000);

  SECTION("a short one") {
    world.log.now_ms = opened + 700;
    REQUIRE(world.Feed(Resumed{300}).wake_ms == opened + 1300);
  }
  SECTION("down since before the phase's end: the whole phase anew") {
    world.log.now_ms = opened + 50'000;
    REQUIRE(world.Feed(Resumed{50'000}).wake_ms == opened + 51'000);
  }
  SECTION("restarts one upon the other do not add up") {
    world.log.now_ms = opened + 600;
    world.Feed(Resumed{600});
    world.log.now_ms = opened + 700;
    world.Feed(Resumed{700});
    REQUIRE(world.Wakes().wake_ms == opened + 1700);
  }
  SECTION("the row that was kept is what counts") {
    const StatusOr<EngineState> kept = DecodeEngine(EncodeEngine(world.engine));
    REQUIRE(kept.ok());
    world.engine = *kept;
    REQUIRE(world.Wakes().wake_ms == opened + 1000);
  }
}

TEST_CASE("Gathering goes on after downtime") {
  World world(4);
  const uint64_t start = world.log.now_ms;
  const std::vector<uint64_t> all = world.connected;
  world.connected.resize(2);
  REQUIRE(world.Wakes().wake_ms == start + 1000);
  // Nobody is connected to a coordinator that has just started.
  world.connected.clear();
  world.log.now_ms = start + 5000;
  world.Feed(Resumed{5000});
  world.connected = all;
  REQUIRE(Proposed(world.Wakes()).has_round_open());
}

TEST_CASE("A running job does not survive a restart and starts anew") {
  World world(4);
  REQUIRE(world.log.ThroughReveals(world.id, {}));
  REQUIRE(Starts(world.Wakes(), 1));
  world.engine = *DecodeEngine(EncodeEngine(world.engine));
  REQUIRE(Starts(world.Feed(Resumed{10}), 1));
}

TEST_CASE("Nobody teaches: the campaign is closed by default, released and refunded") {
  World world(2);
  const uint64_t opened = world.Now().last_round_ms;
  world.connected.clear();
  REQUIRE(world.Wakes().wake_ms == opened + kCloseMs);
  REQUIRE(Quiet(world.WakesAt(opened + kCloseMs - 1)));
  const StepResult closed = world.WakesAt(opened + kCloseMs);
  REQUIRE(Proposed(closed).campaign_close().validation_digest().empty());
  world.Log(closed);
  const uint64_t release = world.log.now_ms + 1000;  // dispute-ms
  REQUIRE(world.Wakes().wake_ms == release);
  REQUIRE(Quiet(world.WakesAt(release - 1)));
  world.Log(world.WakesAt(release));
  const StepResult refund = world.Wakes();
  REQUIRE(Proposed(refund).has_refund());
  world.Log(refund);
  const StepResult over = world.Wakes();
  REQUIRE(Quiet(over));
  REQUIRE(over.wake_ms == 0);
}

TEST_CASE("An owner is not closed upon for the coordinator's downtime") {
  World world(2);
  world.connected.clear();
  const uint64_t opened = world.Now().last_round_ms;
  REQUIRE(world.Wakes().wake_ms == opened + kCloseMs);
  world.log.now_ms = opened + 10 * kCloseMs;
  const StepResult resumed = world.Feed(Resumed{10 * kCloseMs});
  REQUIRE(Quiet(resumed));
  REQUIRE(resumed.wake_ms == opened + 11 * kCloseMs);
  REQUIRE(Proposed(world.WakesAt(opened + 11 * kCloseMs)).has_campaign_close());
}

TEST_CASE("After the last round the owner has until the close deadline") {
  World world(4, [](v1::Terms& terms) { terms.set_rounds(1); });
  world.Wakes();  // the opening's deadline is set
  world.log.now_ms += 5000;
  world.log.RunRound(world.id, {});
  const uint64_t ended = world.Now().last_round_ms;
  REQUIRE(world.Now().phase == ledger::CampaignPhase::kEnded);
  const StepResult waiting = world.Wakes();
  REQUIRE(Quiet(waiting));
  REQUIRE(waiting.wake_ms == ended + kCloseMs);
}

TEST_CASE("A release has one part for each 256 teachers") {
  World world(ledger::kPartTeachers + 1);
  v1::CampaignClose close;
  close.set_campaign(world.id);
  close.set_validation_digest(world.Now().open.validation_digest());
  world.log.Say(world.Now().owner, close);
  world.log.now_ms += 1000;
  for (uint32_t part = 0; part < 2; ++part) {
    const StepResult release = world.Wakes();
    REQUIRE(Proposed(release).release().part() == part);
    REQUIRE(Proposed(release).release().parts() == 2);
    world.Log(release);
  }
  REQUIRE(Proposed(world.Wakes()).has_refund());
}

TEST_CASE("An engine row: round trip, and rows that are none") {
  EngineState state;
  state.deadline_ms = 0x0102030405060708;
  state.timed_round = 77;
  state.timed_phase = Phase::kScored;
  state.gather_until_ms = ~uint64_t{0};
  const std::string bytes = EncodeEngine(state);
  const StatusOr<EngineState> read = DecodeEngine(bytes);
  REQUIRE(read.ok());
  REQUIRE(read->deadline_ms == state.deadline_ms);
  REQUIRE(read->timed_round == 77);
  REQUIRE(read->timed_phase == Phase::kScored);
  REQUIRE(read->gather_until_ms == state.gather_until_ms);
  REQUIRE_FALSE(read->job_running);

  REQUIRE(Refused(DecodeEngine(""), absl::StatusCode::kDataLoss, "not 0"));
  REQUIRE(Refused(DecodeEngine(bytes + "x"), absl::StatusCode::kDataLoss, "not 25"));
  std::string odd = bytes.substr(0, 12);
  base::AppendU32(odd, 5);
  odd += bytes.substr(16);
  REQUIRE(Refused(DecodeEngine(odd), absl::StatusCode::kDataLoss, "phase 5"));
}

}  // namespace
}  // namespace crowdteach::server
