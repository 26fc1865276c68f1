// The engine against a real log in a database: proposals, rows, jobs, full disks, restarts.
#include "server/engine.h"

#include "ledger/round.h"
#include "proto/base/bytes.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/server/history.h"

namespace crowdteach::server {
namespace {

using absl::StatusCode;
using ledger::Phase;
using testing::Refused;

// A world, its log, and an engine on it.
struct Driven : SmallWorld {
  explicit Driven(size_t count) : SmallWorld(count), opened(home.path(), log) {
    connected = teachers;
  }

  void Start() {
    opened.TakeOver(log);
    engine = std::make_unique<Engine>(opened.log.get(), log.operator_key);
  }
  const ledger::CampaignState& Logged() const { return *opened.log->state().FindCampaign(id); }
  // One batch, as the coordinator does it.
  Status RunBatch(const std::function<void(Batch&)>& command = {}) {
    Batch batch;
    batch.now_ms = log.now_ms;
    if (command) command(batch);
    wake_ms = engine->Settle([this](uint64_t) { return connected; }, &batch);
    rows = engine->Rows();
    const Status committed = opened.log->Commit(rows);
    if (committed.ok()) engine->Committed();
    if (!committed.ok()) engine->RolledBack();
    jobs = engine->TakeJobs();
    return committed;
  }
  // More than the database's last pages have room for.
  void Fill(Batch* batch) {
    for (uint64_t i = 0; i < 20; ++i) {
      v1::Intent invite;
      invite.mutable_invite()->set_token_key(testing::TestKey(1000 + i).public_key());
      invite.mutable_invite()->set_role(v1::TEACHER);
      invite.mutable_invite()->set_uses(1);
      invite.mutable_invite()->set_expires_ms(batch->now_ms + 1000);
      REQUIRE(engine->DraftOwn(invite, batch).ok());
    }
  }

  TestHome home;
  OpenedLog opened;
  std::unique_ptr<Engine> engine;
  std::vector<uint64_t> connected;
  uint64_t wake_ms = 0;
  std::vector<ledger::RowWrite> rows;
  std::vector<JobRequest> jobs;
};

TEST_CASE("A batch logs what Step proposes and keeps its row") {
  Driven world(4);
  world.Start();
  REQUIRE(world.RunBatch().ok());
  REQUIRE(world.Logged().round.phase == Phase::kCommit);
  REQUIRE(world.wake_ms == world.log.now_ms + 1000);
  REQUIRE(world.rows.size() == 1);
  const auto kept = world.opened.store->ReadRows("engine/");
  REQUIRE(kept->size() == 1);
  REQUIRE(DecodeEngine(*kept->front().value)->deadline_ms == world.wake_ms);

  const uint64_t size = world.opened.log->size();
  REQUIRE(world.RunBatch().ok());
  REQUIRE(world.rows.empty());  // nothing new
  REQUIRE(world.opened.log->size() == size);
}

TEST_CASE("Several proposals and the operator's own intents share a batch") {
  Driven world(4);
  world.Start();
  world.connected.clear();
  world.log.now_ms += 120'000;
  uint64_t index = 0;
  REQUIRE(world
              .RunBatch([&](Batch& batch) {
                v1::Intent invite;
                invite.mutable_invite()->set_token_key(testing::TestKey(9).public_key());
                invite.mutable_invite()->set_role(v1::TEACHER);
                invite.mutable_invite()->set_uses(1);
                invite.mutable_invite()->set_expires_ms(batch.now_ms + 1000);
                const auto drafted = world.engine->DraftOwn(invite, &batch);
                REQUIRE(drafted.ok());
                index = *drafted;
                REQUIRE(Refused(world.engine->DraftOwn(invite, &batch).status(),
                                StatusCode::kAlreadyExists, ""));
              })
              .ok());
  REQUIRE(world.opened.log->size() == index + 2);  // and the default close
  REQUIRE(world.Logged().phase == ledger::CampaignPhase::kClosed);
}

TEST_CASE("A full disk: nothing happened, and the next try does it") {
  Driven world(4);
  world.Start();
  const uint64_t size = world.opened.log->size();
  REQUIRE(world.opened.store->LimitPages(1).ok());
  const Status full = world.RunBatch([&](Batch& batch) { world.Fill(&batch); });
  REQUIRE(full.code() == StatusCode::kResourceExhausted);
  REQUIRE(world.opened.log->size() == size);
  REQUIRE(world.Logged().round.phase == Phase::kIdle);
  REQUIRE(world.jobs.empty());

  REQUIRE(world.opened.store->LimitPages(1 << 20).ok());
  REQUIRE(world.RunBatch().ok());
  REQUIRE(world.Logged().round.phase == Phase::kCommit);
  REQUIRE(world.rows.size() == 1);
}

TEST_CASE("Jobs are asked for once; their results count for their pass only") {
  Driven world(4);
  REQUIRE(world.log.ThroughReveals(world.id, {}));
  const v1::Aggregate aggregate = world.log.AggregateOf(world.id, {});
  world.Start();
  REQUIRE(world.RunBatch().ok());
  REQUIRE(world.jobs.size() == 1);
  const JobRequest job = world.jobs.front();
  REQUIRE(job.campaign == world.id);
  REQUIRE(job.round == 1);
  REQUIRE(job.pass == 1);
  REQUIRE_FALSE(job.score);
  REQUIRE(world.RunBatch().ok());
  REQUIRE(world.jobs.empty());

  SECTION("the result of this pass") {
    world.engine->Deliver(job, AggregateDone{aggregate});
    REQUIRE(world.RunBatch().ok());
    REQUIRE(world.Logged().round.phase == Phase::kAggregated);
    REQUIRE(world.jobs.size() == 1);
    REQUIRE(world.jobs.front().score);
    REQUIRE(world.jobs.front().pass == 1);
    // Late, and for a pass that is over.
    const uint64_t size = world.opened.log->size();
    world.engine->Deliver(job, JobFailed{v1::WORKER_FAILED});
    REQUIRE(world.RunBatch().ok());
    REQUIRE(world.opened.log->size() == size);
  }
  SECTION("of another round, pass or campaign") {
    const uint64_t size = world.opened.log->size();
    JobRequest other = job;
    other.round = 2;
    world.engine->Deliver(other, AggregateDone{aggregate});
    other = job;
    other.pass = 2;
    world.engine->Deliver(other, AggregateDone{aggregate});
    other = job;
    other.campaign = 9999;
    world.engine->Deliver(other, AggregateDone{aggregate});
    REQUIRE(world.RunBatch().ok());
    REQUIRE(world.opened.log->size() == size);
  }
  SECTION("a result is not lost to a full disk") {
    world.engine->Deliver(job, AggregateDone{aggregate});
    REQUIRE(world.opened.store->LimitPages(1).ok());
    const Status full = world.RunBatch([&](Batch& batch) { world.Fill(&batch); });
    REQUIRE(full.code() == StatusCode::kResourceExhausted);
    REQUIRE(world.Logged().round.phase == Phase::kUpload);
    REQUIRE(world.jobs.empty());
    REQUIRE(world.opened.store->LimitPages(1 << 20).ok());
    REQUIRE(world.RunBatch().ok());
    REQUIRE(world.Logged().round.phase == Phase::kAggregated);
    REQUIRE(world.jobs.size() == 1);
  }
}

TEST_CASE("A restart: the rows, the downtime, the job anew") {
  Driven world(4);
  world.Start();
  REQUIRE(world.RunBatch().ok());
  const uint64_t deadline = world.wake_ms;
  const auto rows = world.opened.store->ReadRows("engine/");
  REQUIRE(rows.ok());
  world.engine = std::make_unique<Engine>(world.opened.log.get(), world.log.operator_key);
  world.log.now_ms += 400;
  REQUIRE(world.engine->Resume(*rows, 400).ok());
  REQUIRE(world.RunBatch().ok());
  REQUIRE(world.wake_ms == deadline + 400);
  REQUIRE(world.rows.size() == 1);
  // Told once.
  REQUIRE(world.RunBatch().ok());
  REQUIRE(world.wake_ms == deadline + 400);
}

TEST_CASE("Downtime is told again when its batch was not logged") {
  Driven world(4);
  world.Start();
  REQUIRE(world.RunBatch().ok());
  const uint64_t deadline = world.wake_ms;
  const auto rows = world.opened.store->ReadRows("engine/");
  world.engine = std::make_unique<Engine>(world.opened.log.get(), world.log.operator_key);
  world.log.now_ms += 400;
  REQUIRE(world.engine->Resume(*rows, 400).ok());
  REQUIRE(world.opened.store->LimitPages(1).ok());
  const Status full = world.RunBatch([&](Batch& batch) { world.Fill(&batch); });
  REQUIRE(full.code() == StatusCode::kResourceExhausted);
  REQUIRE(world.opened.store->LimitPages(1 << 20).ok());
  REQUIRE(world.RunBatch().ok());
  REQUIRE(world.wake_ms == deadline + 400);
}

TEST_CASE("Rows that do not belong to this log are refused") {
  Driven world(1);
  world.Start();
  const std::string row = EncodeEngine(EngineState{});
  REQUIRE(Refused(world.engine->Resume({{"engine/00000000000000009999", row}}, 0),
                  StatusCode::kDataLoss, "not on the ledger"));
  REQUIRE(Refused(world.engine->Resume({{"engine/none", row}}, 0), StatusCode::kDataLoss,
                  "not on the ledger"));
  const std::string key = fmt::format("engine/{:020}", world.id);
  REQUIRE(Refused(world.engine->Resume({{key, row + "x"}}, 0), StatusCode::kDataLoss, "24 bytes"));
  REQUIRE(world.engine->Resume({{key, row}}, 0).ok());
}

}  // namespace
}  // namespace crowdteach::server
