// Campaigns under a virtual clock: teachers come, go, commit late, never reveal and copy each
// other, jobs fail, the coordinator is restarted. Whatever happens, the rules accept everything
// Step proposes, somebody is always due to move, and the campaign ends with its money paid out.
//
// CROWDTEACH_SEED=‹number› replays one history.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "ledger/round.h"
#include "server/round/step.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"

namespace crowdteach::server {
namespace {

using ledger::CampaignPhase;
using ledger::Phase;
using testing::kNat;
using testing::LedgerBuilder;
using testing::RoundPlan;
using testing::TeacherPlan;

// What happened in a history; the tests below require that each of it did at some time.
struct Tally {
  std::map<int, int> rejects;  // by v1::RejectReason
  std::map<int, int> aborts;   // by v1::AbortReason
  int settled = 0;
  int second_passes = 0;
  int restarts = 0;
  int default_closes = 0;
};

class Simulation {
 public:
  Simulation(uint64_t seed, size_t most_teachers, Tally* tally) : random_(seed), tally_(tally) {
    v1::CampaignOpen open = testing::SmallCampaign();
    v1::Terms& terms = *open.mutable_terms();
    terms.set_rounds(static_cast<uint32_t>(Between(1, 4)));
    const size_t teachers = static_cast<size_t>(Between(1, static_cast<int64_t>(most_teachers)));
    terms.set_teachers(static_cast<uint32_t>(Between(1, static_cast<int64_t>(teachers))));
    terms.set_quorum(static_cast<uint32_t>(Between(1, terms.teachers())));
    terms.set_commit_ms(1000 * static_cast<uint64_t>(Between(1, 9)));
    terms.set_upload_ms(1000 * static_cast<uint64_t>(Between(1, 9)));
    terms.set_dispute_ms(5000);
    terms.set_close_ms(30'000);
    terms.set_retention_ms(60'000);
    terms.set_max_aborts(static_cast<uint32_t>(Between(1, 8)));
    terms.set_open_commitments(Chance(4));
    terms.set_weighting(Chance(2) ? v1::EQUAL : v1::EXAMPLES);
    const uint64_t owner = log_.NewAccount(v1::OWNER);
    log_.Issue(owner, static_cast<uint64_t>(terms.budget()));
    id_ = log_.OpenCampaign(owner, open);
    for (size_t i = 0; i < teachers; ++i) teachers_[log_.NewTeacher(id_)] = Chance(2);
    steady_ = !Chance(3);
  }

  void Run() {
    constexpr int kMostTicks = 20'000;
    int ticks = 0;
    while (Now().phase != CampaignPhase::kRefunded) {
      REQUIRE(++ticks < kMostTicks);
      Tick();
    }
    REQUIRE(Settle() == 0);
    tally_->settled += static_cast<int>(Now().settled_rounds);
    CheckMoney();
  }

 private:
  const ledger::CampaignState& Now() const { return log_.Campaign(id_); }
  const ledger::RoundState& Round() const { return Now().round; }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  bool Chance(int64_t one_in) { return Between(1, one_in) == 1; }

  void Tick() {
    // Now and then exactly to the time Step asked for; else somewhere near.
    log_.now_ms = wake_ms_ != 0 && Chance(5) ? std::max(wake_ms_, log_.now_ms)
                                             : log_.now_ms + static_cast<uint64_t>(Between(0, 400));
    if (Chance(200)) return Restart();
    for (auto& [account, here] : teachers_) {
      if (Chance(steady_ ? 300 : 30)) here = !here;
      if (here) Teach(account);
    }
    if (job_ && Chance(3)) FinishJob();
    MaybeClose();
    wake_ms_ = Settle();
  }

  // What Step must never be without: something it waits for.
  uint64_t Settle() {
    StepResult result;
    do {
      result = Feed(Wake{});
    } while (!result.effects.empty());
    const bool over = Now().phase == CampaignPhase::kRefunded;
    if (!over && !job_) REQUIRE(result.wake_ms > log_.now_ms);
    if (over) REQUIRE(result.wake_ms == 0);
    return result.wake_ms;
  }

  StepResult Feed(const Event& event) {
    Moment moment{log_.now_ms, {}};
    for (const auto& [account, here] : teachers_) {
      if (here) moment.connected.push_back(account);
    }
    std::shuffle(moment.connected.begin(), moment.connected.end(), random_);
    StepResult result = Step(engine_, event, log_.state, id_, moment);
    engine_ = result.next;
    for (const Effect& effect : result.effects) CarryOut(effect);
    REQUIRE(engine_.job_running == job_.has_value());
    return result;
  }

  void CarryOut(const Effect& effect) {
    if (const auto* propose = std::get_if<Propose>(&effect)) {
      const auto logged = log_.Try(0, propose->body);
      INFO(logged.status().ToString() << "\n" << propose->body.ShortDebugString());
      REQUIRE(logged.ok());
      Count(propose->body);
      return;
    }
    REQUIRE_FALSE(job_.has_value());
    job_ = effect;
    if (const auto* score = std::get_if<StartScore>(&effect)) {
      REQUIRE(score->pass == Round().pass);
    } else {
      REQUIRE(std::get<StartAggregate>(effect).pass == Round().pass + 1);
      tally_->second_passes += Round().pass > 0;
    }
  }

  void Count(const v1::Intent& body) {
    if (body.has_update_reject()) ++tally_->rejects[body.update_reject().reason()];
    if (body.has_round_abort()) ++tally_->aborts[body.round_abort().reason()];
    if (body.has_campaign_close()) ++tally_->default_closes;
  }

  // Plans are drawn once a round, when a teacher first acts in it.
  TeacherPlan& PlanOf(uint64_t account) {
    if (planned_round_ != Round().number) plans_.clear();
    planned_round_ = Round().number;
    const auto [found, fresh] = plans_.try_emplace(account);
    if (fresh) {
      found->second.commits = !Chance(10);
      found->second.reveals = !Chance(10);
      if (Chance(4)) found->second.update = static_cast<uint64_t>(Between(1, 2));
    }
    return found->second;
  }

  void Teach(uint64_t account) {
    const auto seat = Round().seats.find(account);
    if (seat == Round().seats.end() || !Chance(steady_ ? 3 : 8)) return;
    const TeacherPlan& plan = PlanOf(account);
    if (Round().phase == Phase::kCommit && !seat->second.commitment && plan.commits) {
      // A copy of another's commitment is refused, which is its sender's trouble only.
      static_cast<void>(log_.Try(account, log_.CommitOf(id_, account, plan)));
    } else if (Round().phase == Phase::kUpload && plan.reveals) {
      const std::vector<uint64_t> awaited = ledger::Awaited(Now());
      if (std::binary_search(awaited.begin(), awaited.end(), account)) {
        log_.Say(account, log_.RevealOf(id_, account, plan));
      }
    }
  }

  RoundPlan Scores() {
    RoundPlan plans;
    const std::vector<uint64_t> included = ledger::Included(Round());
    const int64_t most = static_cast<int64_t>(Now().loss_q32 / (2 * included.size()));
    for (const uint64_t account : included) {
      // A nat costs 100, the stake is 50: some cannot pay.
      plans[account].phi_q32 = Chance(4) ? -Between(0, kNat) : Between(0, most);
    }
    return plans;
  }

  void FinishJob() {
    const bool score = std::holds_alternative<StartScore>(*job_);
    job_.reset();
    if (Chance(12)) {
      Feed(JobFailed{v1::WORKER_FAILED});
    } else if (!score) {
      Feed(AggregateDone{log_.AggregateOf(id_, {})});
    } else if (Chance(30)) {
      Feed(JobFailed{Chance(2) ? v1::NOT_FINITE : v1::SCORE_RANGE});
    } else if (Chance(8)) {
      Diverging diverging{ledger::Included(Round())};
      std::shuffle(diverging.accounts.begin(), diverging.accounts.end(), random_);
      diverging.accounts.resize(
          static_cast<size_t>(Between(1, static_cast<int64_t>(diverging.accounts.size()))));
      Feed(diverging);
    } else {
      Feed(ScoreDone{log_.ScoreOf(id_, Scores())});
    }
  }

  void MaybeClose() {
    const bool may = Round().phase == Phase::kIdle && (Now().phase == CampaignPhase::kRunning ||
                                                       Now().phase == CampaignPhase::kEnded);
    if (!may || !Chance(Now().phase == CampaignPhase::kEnded ? 60 : 600)) return;
    v1::CampaignClose close;
    close.set_campaign(id_);
    close.set_validation_digest(Now().open.validation_digest());
    log_.Say(Now().owner, close);
  }

  // Only the row is left; everybody has to come back, and the job starts anew.
  void Restart() {
    ++tally_->restarts;
    const StatusOr<EngineState> kept = DecodeEngine(EncodeEngine(engine_));
    REQUIRE(kept.ok());
    engine_ = *kept;
    job_.reset();
    for (auto& [account, here] : teachers_) here = false;
    log_.now_ms += static_cast<uint64_t>(Between(0, 20'000));
    const CampaignPhase before = Now().phase;
    const uint64_t down_ms = log_.now_ms - log_.state.last_time_ms();
    const bool had_row = engine_.deadline_ms != 0;
    Feed(Resumed{down_ms});
    // Nobody loses a phase, and no owner the campaign, to time in which nobody could act.
    if (had_row && before == CampaignPhase::kRunning) REQUIRE(Now().phase == before);
    wake_ms_ = Settle();
  }

  void CheckMoney() const {
    base::Int128 sum = 0;
    for (const auto& [key, balance] : log_.state.balances()) {
      sum += balance;
      REQUIRE((balance >= 0 || key.kind == v1::ISSUED));
      if (key.campaign == id_) REQUIRE(balance == 0);
    }
    REQUIRE(sum == 0);
  }

  std::mt19937_64 random_;
  Tally* const tally_;
  LedgerBuilder log_;
  uint64_t id_ = 0;
  std::map<uint64_t, bool> teachers_;  // account → connected
  bool steady_ = false;                // few come and go, and they are quick
  EngineState engine_;
  std::optional<Effect> job_;
  RoundPlan plans_;
  uint32_t planned_round_ = 0;
  uint64_t wake_ms_ = 0;
};

std::optional<uint64_t> SeedToReplay() {
  const char* seed = std::getenv("CROWDTEACH_SEED");
  if (seed == nullptr) return std::nullopt;
  return std::stoull(seed);
}

void Simulate(uint64_t seed, size_t most_teachers, Tally* tally) {
  INFO("replay with CROWDTEACH_SEED=" << seed);
  Simulation(seed, most_teachers, tally).Run();
}

TEST_CASE("Any history of a small campaign ends well") {
  Tally tally;
  if (const auto seed = SeedToReplay()) return Simulate(*seed, 9, &tally);
  std::random_device device;
  for (int i = 0; i < 20; ++i) Simulate(device(), 9, &tally);
  // The same in every run, so all kinds of trouble are in them for certain.
  tally = {};
  for (uint64_t seed = 0; seed < 60; ++seed) Simulate(seed, 9, &tally);
  INFO("settled " << tally.settled << ", second passes " << tally.second_passes << ", restarts "
                  << tally.restarts);
  for (const v1::RejectReason reason : {v1::NO_REVEAL, v1::DUPLICATE, v1::DIVERGES, v1::UNCOVERED})
    CHECK(tally.rejects[reason] > 0);
  for (const v1::AbortReason reason : {v1::COMMIT_QUORUM, v1::REVEAL_QUORUM, v1::COVER_QUORUM,
                                       v1::NOT_FINITE, v1::SCORE_RANGE, v1::WORKER_FAILED})
    CHECK(tally.aborts[reason] > 0);
  CHECK(tally.settled > 0);
  CHECK(tally.second_passes > 0);
  CHECK(tally.restarts > 0);
  CHECK(tally.default_closes > 0);
}

TEST_CASE("Any history of a campaign with hundreds of teachers ends well") {
  Tally tally;
  Simulate(SeedToReplay().value_or(std::random_device()()), 200, &tally);
}

}  // namespace
}  // namespace crowdteach::server
