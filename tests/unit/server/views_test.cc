// What people and clients are shown: round numbers, deadlines, who is told what.
#include "server/views.h"

#include "ledger/round.h"
#include "tests/support/catch.h"
#include "tests/unit/server/history.h"

namespace crowdteach::server {
namespace {

std::string Receipt(uint64_t index) { return std::to_string(index); }

struct ViewWorld : SmallWorld {
  using SmallWorld::SmallWorld;
  v1::CampaignView View(const EngineState& engine = {}) const {
    return MakeView(log.state, MarksOf(log), engine, id, {}, log.now_ms);
  }
  v1::CampaignView View(const std::vector<uint64_t>& connected) const {
    return MakeView(log.state, MarksOf(log), {}, id, connected, log.now_ms);
  }
  std::vector<v1::Notice> Told(uint64_t account, const EngineState& engine = {}) const {
    return CatchUp(Now(), MarksOf(log).Campaign(id), engine, account, log.now_ms, Receipt);
  }
  // Of the entries from `first` on, as "kind round" for everybody.
  std::vector<std::string> Pushed(size_t first) const {
    std::vector<std::string> lines;
    const Marks marks = MarksOf(log);
    for (size_t i = first; i < log.entries.size(); ++i) {
      for (const AddressedNotice& notice :
           NoticesOf(log.entries[i], Now(), marks.Campaign(id), Receipt)) {
        if (notice.account != 0) continue;
        lines.push_back(v1::Notice::Kind_Name(notice.notice.kind()) + " " +
                        std::to_string(notice.notice.round()));
      }
    }
    return lines;
  }
};

TEST_CASE("A view counts rounds from 1, settled or not, and shows where the round stands") {
  ViewWorld world(4);
  REQUIRE(world.View().round() == 0);
  REQUIRE(world.View().round_phase() == "waiting");
  REQUIRE(world.View().history_size() == 1);
  REQUIRE(world.View().history(0).round() == 0);

  world.log.RunRound(world.id, {});
  REQUIRE(world.View().round() == 1);
  REQUIRE(world.View().settled_rounds() == 1);
  REQUIRE(world.View().round_phase() == "waiting");

  world.log.OpenRound(world.id);
  REQUIRE(world.View().round() == 2);
  REQUIRE(world.View().settled_rounds() == 1);
  REQUIRE(world.View().round_phase() == "commit");
  world.log.now_ms += 1000;  // nobody commits
  world.log.Say(0, world.log.AbortOf(world.id, v1::COMMIT_QUORUM));
  REQUIRE(world.View().round() == 2);
  REQUIRE(world.View().settled_rounds() == 1);
  REQUIRE(world.View().round_phase() == "waiting");

  world.log.RunRound(world.id, {});
  REQUIRE(world.View().round() == 3);
  REQUIRE(world.View().settled_rounds() == 2);
  std::vector<uint32_t> points;
  const v1::CampaignView last = world.View();
  for (const auto& point : last.history()) points.push_back(point.round());
  REQUIRE(points == std::vector<uint32_t>{0, 1, 3});
}

TEST_CASE("A view says who lost its cover, and how many are left for the next round") {
  ViewWorld world(4);
  const uint64_t loser = world.teachers[0];
  REQUIRE(world.View(world.teachers).ready() == 4);
  world.log.RunRound(world.id, {{loser, {.phi_q32 = -(int64_t{1} << 40)}}});
  REQUIRE(world.View(world.teachers).teachers(0).status() == "rejected: uncovered");
  world.log.RunRound(world.id, {});
  const v1::CampaignView view = world.View(world.teachers);
  REQUIRE(view.settled_rounds() == 2);
  REQUIRE(view.ready() == 3);
  REQUIRE(view.quorum() == world.log.Campaign(world.id).open.terms().quorum());
  for (const auto& teacher : view.teachers()) {
    REQUIRE(teacher.status() == (teacher.account() == loser ? "below cover" : "idle"));
  }
}

TEST_CASE("Notices name the round of their entry, though the next is open already") {
  ViewWorld world(4);
  world.log.RunRound(world.id, {});
  const size_t first = world.log.entries.size();
  world.log.RunRound(world.id, {});
  world.log.OpenRound(world.id);
  REQUIRE(world.Now().round.number == 3);
  REQUIRE(world.Pushed(first) == std::vector<std::string>{"ROUND_SETTLED 2"});
  REQUIRE(world.Pushed(0) == std::vector<std::string>{"ROUND_SETTLED 1", "ROUND_SETTLED 2"});
  for (const uint64_t teacher : world.teachers) {
    const std::vector<v1::Notice> told = world.Told(teacher);
    REQUIRE(told.size() == 2);
    for (const v1::Notice& notice : told) REQUIRE(notice.round() == 3);
    REQUIRE(told[1].kind() == v1::Notice::TASK);
  }
}

TEST_CASE("The engine's deadline is shown, if it is of this phase of this round") {
  ViewWorld world(4);
  world.log.RunRound(world.id, {});
  world.log.OpenRound(world.id);
  const uint64_t nominal = ledger::CommitDeadlineMs(world.Now());
  const auto left = [&](const EngineState& engine) {
    const uint64_t shown = world.View(engine).phase_left_ms();
    REQUIRE(world.Told(world.teachers[0], engine).at(1).time_left_ms() == shown);
    return shown;
  };
  EngineState engine;
  engine.deadline_ms = nominal + 700;
  engine.timed_round = 2;
  engine.timed_phase = ledger::Phase::kCommit;
  REQUIRE(left({}) == nominal - world.log.now_ms);
  REQUIRE(left(engine) == nominal + 700 - world.log.now_ms);
  engine.timed_round = 1;
  REQUIRE(left(engine) == nominal - world.log.now_ms);
  engine.timed_round = 2;
  engine.timed_phase = ledger::Phase::kIdle;
  REQUIRE(left(engine) == nominal - world.log.now_ms);
  world.log.now_ms = nominal + 1;
  REQUIRE(left({}) == 0);
}

}  // namespace
}  // namespace crowdteach::server
