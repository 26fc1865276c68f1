#include "server/writer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "server/engine.h"
#include "tests/support/catch.h"

namespace crowdteach::server {
namespace {

TEST_CASE("Commands run in order, in batches of at most kMaxCommands") {
  std::promise<void> first_done;
  std::promise<void> posted;
  std::vector<size_t> batches;  // of the writer thread, read after Stop
  std::vector<int> order;
  Writer writer(
      [&](std::vector<Command> commands) {
        Batch batch;
        for (const Command& command : commands) command(batch);
        batches.push_back(commands.size());
        if (batches.size() == 1) {
          first_done.set_value();
          posted.get_future().wait();  // all of what follows is posted meanwhile
        }
        return uint64_t{0};
      },
      [] { return uint64_t{1}; });
  writer.Start();
  first_done.get_future().wait();
  constexpr int kCommands = 600;
  for (int i = 0; i < kCommands; ++i) {
    writer.Post([&order, i](Batch&) { order.push_back(i); });
  }
  posted.set_value();
  writer.Stop();
  REQUIRE(batches == std::vector<size_t>{0, 256, 256, 88});
  REQUIRE(order.size() == kCommands);
  REQUIRE(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("It is called again at the time it asked for, and not before") {
  std::atomic<uint64_t> now_ms{1000};
  std::atomic<int> calls{0};
  Writer writer(
      [&](std::vector<Command>) {
        ++calls;
        return uint64_t{5000};
      },
      [&] { return now_ms.load(); });
  writer.Start();
  while (calls < 1) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  REQUIRE(calls == 1);
  // Somebody sets the clock: noticed within a second.
  now_ms = 5000;
  const auto begin = std::chrono::steady_clock::now();
  while (calls < 2) std::this_thread::yield();
  REQUIRE(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("What is posted after Stop is never run") {
  std::atomic<int> ran{0};
  Writer writer(
      [&](std::vector<Command> commands) {
        ran += static_cast<int>(commands.size());
        return uint64_t{0};
      },
      [] { return uint64_t{1}; });
  writer.Start();
  writer.Post([](Batch&) {});
  writer.Stop();
  REQUIRE(ran == 1);
  writer.Post([](Batch&) {});
  writer.Stop();
  REQUIRE(ran == 1);
}

}  // namespace
}  // namespace crowdteach::server
