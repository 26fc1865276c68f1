// Attending and watching: who is told what, in which order, and once.
#include <future>
#include <map>
#include <utility>
#include <vector>

#include "ledger/receipt.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/server/running.h"

namespace crowdteach::server {
namespace {

using absl::StatusCode;
using testing::Refused;

TEST_CASE("Attending: the enrolled only, who are told where the round stands") {
  SmallWorld world(4);
  const uint64_t stranger = world.log.NewAccount(v1::TEACHER);
  world.log.OpenRound(world.id);
  const HistoryHome home(world.log);
  Running running(home, world.log.now_ms);
  Coordinator& coordinator = *running.coordinator;
  const auto nothing = [](const std::shared_ptr<const v1::Notice>&) {};
  REQUIRE(Refused(coordinator.Attend(stranger, world.id, nothing), StatusCode::kPermissionDenied,
                  "enrol first"));
  REQUIRE(Refused(coordinator.Attend(world.teachers[0], 9999, nothing), StatusCode::kNotFound,
                  "no campaign 9999"));
  REQUIRE(Refused(coordinator.Watch(world.owner, 9999, [](const auto&) {}), StatusCode::kNotFound,
                  "9999"));

  std::promise<void> told;
  std::vector<v1::Notice> notices;  // pushed on the writer thread, read after `told`
  const auto stream =
      coordinator.Attend(world.teachers[0], world.id, [&](std::shared_ptr<const v1::Notice> n) {
        notices.push_back(*n);
        if (notices.size() == 2) told.set_value();
      });
  REQUIRE(stream.ok());
  told.get_future().wait();
  REQUIRE(notices[0].kind() == v1::Notice::WAITING);
  REQUIRE(notices[1].kind() == v1::Notice::TASK);
  REQUIRE(notices[1].round() == 1);
  REQUIRE(notices[1].time_left_ms() == 1000);
  const auto receipt = ledger::ParseReceipt(notices[1].receipts(0));
  REQUIRE(receipt->index == world.log.entries.size() - 1);  // ROUND_OPEN
  coordinator.Leave(*stream);
  coordinator.Leave(*stream);
}

TEST_CASE("A notice names the round of its entry, also when the next one opens at once") {
  SmallWorld world(2);
  world.log.OpenRound(world.id);
  const HistoryHome home(world.log);
  Running running(home, world.log.now_ms);
  std::promise<void> told;
  std::vector<v1::Notice> aborted;
  const auto attend = [&](uint64_t account, bool listens) {
    return running.coordinator->Attend(
        account, world.id, [&, listens](const std::shared_ptr<const v1::Notice>& notice) {
          if (!listens || notice->kind() != v1::Notice::ROUND_ABORTED || !aborted.empty()) return;
          aborted.push_back(*notice);
          told.set_value();
        });
  };
  const auto other = attend(world.teachers[1], false);
  const auto stream = attend(world.teachers[0], true);
  // Answered when what came before it has been pushed, so both know where the round stands.
  for (int i = 0; i < 2; ++i) REQUIRE(running.Issue(0, 1).status.ok());
  // Nobody commits: COMMIT_QUORUM, and ROUND_OPEN 2 in the same batch, for both are here.
  running.now_ms += 1000;
  REQUIRE(running.Issue(0, 1).status.ok());
  told.get_future().wait();
  REQUIRE(aborted.front().round() == 1);
  running.coordinator->Leave(*stream);
  running.coordinator->Leave(*other);
}

TEST_CASE("Who comes in the batch that opens the round is told its task once") {
  SmallWorld world(4);  // the last of whom opens the round
  const HistoryHome home(world.log);
  Running running(home, world.log.now_ms);
  std::map<uint64_t, std::vector<v1::Notice::Kind>> told;  // by the writer thread
  std::vector<uint64_t> streams;
  for (const uint64_t account : world.teachers) {
    const auto stream = running.coordinator->Attend(
        account, world.id, [&told, account](const std::shared_ptr<const v1::Notice>& notice) {
          told[account].push_back(notice->kind());
        });
    REQUIRE(stream.ok());
    streams.push_back(*stream);
  }
  // Answered when what came before it has been pushed.
  for (int i = 0; i < 2; ++i) REQUIRE(running.Issue(0, 1).status.ok());
  for (const uint64_t account : world.teachers) {
    REQUIRE(told[account] == std::vector{v1::Notice::WAITING, v1::Notice::TASK});
  }
  for (const uint64_t stream : streams) running.coordinator->Leave(stream);
}

TEST_CASE("After a downtime views and notices show the deadline as it was moved") {
  SmallWorld world(4);
  world.log.OpenRound(world.id);
  const HistoryHome home(world.log);
  {
    Running before(home, world.log.now_ms);
    REQUIRE(before.Issue(0, 1).status.ok());  // the deadline is kept now
  }
  Running running(home, world.log.now_ms + 600);
  std::promise<uint64_t> seen;
  bool done = false;
  const auto watcher = running.coordinator->Watch(
      world.owner, world.id, [&](const std::shared_ptr<const v1::CampaignView>& view) {
        if (!std::exchange(done, true)) seen.set_value(view->phase_left_ms());
      });
  REQUIRE(seen.get_future().get() == 1000);
  std::promise<uint64_t> told;
  const auto stream = running.coordinator->Attend(
      world.teachers[0], world.id, [&](const std::shared_ptr<const v1::Notice>& notice) {
        if (notice->kind() == v1::Notice::TASK) told.set_value(notice->time_left_ms());
      });
  REQUIRE(told.get_future().get() == 1000);
  running.coordinator->Leave(*watcher);
  running.coordinator->Leave(*stream);
}

}  // namespace
}  // namespace crowdteach::server
