#include "server/streams.h"

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"

namespace crowdteach::server {
namespace {

using absl::StatusCode;
using testing::Refused;

TEST_CASE("Pushes go to the campaign's streams they are for") {
  Streams streams;
  std::string told;
  const auto teller = [&](std::string name) {
    return [&told, name](const std::shared_ptr<const v1::Notice>& notice) {
      told += name + std::to_string(notice->round()) + " ";
    };
  };
  const auto attend = [&](uint64_t campaign, uint64_t account, const std::string& name) {
    const uint64_t stream = *streams.AddAttendant(campaign, account, teller(name));
    streams.Begin(stream, {});
    return stream;
  };
  const uint64_t a = attend(1, 10, "a");
  attend(1, 10, "A");  // the same teacher, twice
  attend(1, 11, "b");
  attend(2, 10, "c");
  uint64_t views = 0;
  const uint64_t watcher =
      *streams.AddWatcher(1, 10, [&](const auto& view) { views += view->campaign(); });

  REQUIRE(streams.Connected(1) == std::vector<uint64_t>{10, 11});
  REQUIRE(streams.Connected(2) == std::vector<uint64_t>{10});
  REQUIRE(streams.Connected(3).empty());
  REQUIRE(streams.Watched(1));
  REQUIRE_FALSE(streams.Watched(2));

  auto notice = std::make_shared<v1::Notice>();
  notice->set_round(7);
  streams.PushTo(1, 10, notice);
  REQUIRE(told == "a7 A7 ");
  told.clear();
  streams.PushToAll(1, notice);
  REQUIRE(told == "a7 A7 b7 ");
  auto view = std::make_shared<v1::CampaignView>();
  view->set_campaign(5);
  streams.PushView(1, view);
  streams.PushView(2, view);
  REQUIRE(views == 5);

  told.clear();
  REQUIRE(streams.Remove(a) == 1);
  REQUIRE(streams.Remove(a) == 0);
  REQUIRE(streams.Remove(999) == 0);
  REQUIRE(streams.Remove(watcher) == 1);
  REQUIRE_FALSE(streams.Watched(1));
  streams.PushTo(1, 10, notice);
  REQUIRE(told == "A7 ");
  REQUIRE(streams.Connected(1) == std::vector<uint64_t>{10, 11});
}

TEST_CASE("An attendant is connected at once, and pushed nothing before it begins") {
  Streams streams;
  std::vector<uint32_t> rounds;
  const auto notice = [](uint32_t round) {
    auto made = std::make_shared<v1::Notice>();
    made->set_round(round);
    return made;
  };
  const uint64_t stream = *streams.AddAttendant(
      1, 10,
      [&](const std::shared_ptr<const v1::Notice>& told) { rounds.push_back(told->round()); });
  REQUIRE(streams.Connected(1) == std::vector<uint64_t>{10});
  streams.PushTo(1, 10, notice(1));
  streams.PushToAll(1, notice(2));
  REQUIRE(rounds.empty());
  streams.Begin(stream, {notice(3), notice(4)});
  streams.PushTo(1, 10, notice(5));
  REQUIRE(rounds == std::vector<uint32_t>{3, 4, 5});
  streams.Remove(stream);
  streams.Begin(stream, {notice(6)});
  REQUIRE(rounds.size() == 3);
}

TEST_CASE("The streams of one account are bounded, each kind by itself, and nobody else's") {
  Streams streams;
  const auto hear = [](const auto&) {};
  std::vector<uint64_t> open;
  for (size_t i = 0; i < Streams::kMaxOfAccount; ++i) {
    open.push_back(*streams.AddAttendant(i, 10, hear));
    REQUIRE(streams.AddWatcher(1, 10, hear).ok());
  }
  REQUIRE(Refused(streams.AddAttendant(1, 10, hear), StatusCode::kResourceExhausted,
                  "account 10 attends 8 streams already"));
  REQUIRE(Refused(streams.AddWatcher(99, 10, hear), StatusCode::kResourceExhausted,
                  "account 10 watches 8 streams already"));
  REQUIRE(streams.AddAttendant(1, 11, hear).ok());
  REQUIRE(streams.AddWatcher(1, 11, hear).ok());
  streams.Remove(open[3]);
  REQUIRE(streams.AddAttendant(1, 10, hear).ok());
  REQUIRE_FALSE(streams.AddAttendant(1, 10, hear).ok());
}

TEST_CASE("After Remove nothing is pushed, whatever another thread does") {
  Streams streams;
  std::atomic<bool> stop{false};
  std::thread pusher([&] {
    const auto notice = std::make_shared<const v1::Notice>();
    while (!stop) {
      streams.PushToAll(1, notice);
      std::this_thread::yield();
    }
  });
  bool late = false;
  for (int i = 0; i < 200; ++i) {
    auto gone = std::make_shared<std::atomic<bool>>(false);
    const uint64_t stream = *streams.AddAttendant(1, 1, [gone, &late](const auto&) {
      if (*gone) late = true;
    });
    streams.Begin(stream, {});
    streams.Remove(stream);
    *gone = true;
  }
  stop = true;
  pusher.join();
  REQUIRE_FALSE(late);
}

}  // namespace
}  // namespace crowdteach::server
