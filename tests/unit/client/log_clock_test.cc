// The wall clock is asked once; what jumps afterwards is no trouble, and a log's time that jumps
// is.
#include "client/log_clock.h"

#include <string>

#include "tests/support/catch.h"

namespace crowdteach::client {
namespace {

constexpr uint64_t kDayMs = LogClock::kMaxSkewMs;
constexpr uint64_t kNowMs = 1'800'000'000'000;

struct Fixture {
  uint64_t wall_ms = kNowMs;
  uint64_t elapsed_ms = 5'000;
  LogClock clock{{[this] { return wall_ms; }, [this] { return elapsed_ms; }}};
};

TEST_CASE("A first time more than a day off is refused, and both clocks are named") {
  Fixture fixture;
  for (const uint64_t log_ms : {kNowMs - kDayMs - 1, kNowMs + kDayMs + 1}) {
    const Status noted = fixture.clock.Note(log_ms);
    REQUIRE(absl::IsFailedPrecondition(noted));
    REQUIRE(Message(noted).find("2027-01-15") != std::string::npos);
    REQUIRE(fixture.clock.now_ms() == 0);
  }
  REQUIRE(fixture.clock.Note(kNowMs + kDayMs).ok());
}

TEST_CASE("The wall clock may jump once a time is known") {
  Fixture fixture;
  REQUIRE(fixture.clock.Note(kNowMs + 70).ok());
  for (const uint64_t wall_ms : {uint64_t{0}, kNowMs - 400 * kDayMs, kNowMs + 400 * kDayMs}) {
    fixture.wall_ms = wall_ms;
    fixture.elapsed_ms += 1000;
    REQUIRE(fixture.clock.Note(kNowMs + fixture.elapsed_ms - 5'000).ok());
  }
  REQUIRE(fixture.clock.now_ms() == kNowMs + 3000);
}

TEST_CASE("A log's time that jumps is refused, and an earlier one changes nothing") {
  Fixture fixture;
  REQUIRE(fixture.clock.Note(kNowMs).ok());
  fixture.elapsed_ms += 60'000;
  REQUIRE(absl::IsFailedPrecondition(fixture.clock.Note(kNowMs + 60'000 + kDayMs + 1)));
  REQUIRE(fixture.clock.now_ms() == kNowMs);
  REQUIRE(fixture.clock.Note(kNowMs - 5'000).ok());  // set back a little
  REQUIRE(fixture.clock.now_ms() == kNowMs);
  // A night's sleep.
  fixture.elapsed_ms += 3 * kDayMs;
  REQUIRE(fixture.clock.Note(kNowMs + 60'000 + 3 * kDayMs).ok());
}

}  // namespace
}  // namespace crowdteach::client
