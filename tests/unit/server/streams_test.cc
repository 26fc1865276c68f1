#include "server/streams.h"

#include <atomic>
#include <thread>

#include "tests/support/catch.h"

namespace crowdteach::server {
namespace {

TEST_CASE("Pushes go to the campaign's streams they are for") {
  Streams streams;
  std::string told;
  const auto teller = [&](std::string name) {
    return [&told, name](const std::shared_ptr<const v1::Notice>& notice) {
      told += name + std::to_string(notice->round()) + " ";
    };
  };
  const uint64_t a = streams.AddAttendant(1, 10, teller("a"));
  streams.AddAttendant(1, 10, teller("A"));  // the same teacher, twice
  streams.AddAttendant(1, 11, teller("b"));
  streams.AddAttendant(2, 10, teller("c"));
  uint64_t views = 0;
  const uint64_t watcher =
      streams.AddWatcher(1, [&](const auto& view) { views += view->campaign(); });

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
    const uint64_t stream = streams.AddAttendant(1, 1, [gone, &late](const auto&) {
      if (*gone) late = true;
    });
    streams.Remove(stream);
    *gone = true;
  }
  stop = true;
  pusher.join();
  REQUIRE_FALSE(late);
}

}  // namespace
}  // namespace crowdteach::server
