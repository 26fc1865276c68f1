#include "client/log_clock.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "proto/base/utc_time.h"

namespace crowdteach::client {
namespace {

uint64_t WallMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

// Not steady_clock, which stands still while a laptop sleeps.
uint64_t BootMs() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

bool Apart(uint64_t a_ms, uint64_t b_ms) {
  return std::max(a_ms, b_ms) - std::min(a_ms, b_ms) > LogClock::kMaxSkewMs;
}

}  // namespace

LogClock::LogClock() : LogClock(Clocks{WallMs, BootMs}) {}

Status LogClock::Note(uint64_t log_time_ms) {
  if (!anchor_.has_value()) {
    const uint64_t now_ms = clocks_.wall_ms();
    if (Apart(log_time_ms, now_ms)) {
      return FailedPrecondition(
          "the coordinator's clock says {}, this machine's {}: more than a day apart; set the one "
          "that is wrong",
          base::UtcTime(log_time_ms), base::UtcTime(now_ms));
    }
    anchor_ = Anchor{log_time_ms, clocks_.elapsed_ms()};
  }
  const uint64_t expected_ms = anchor_->log_ms + (clocks_.elapsed_ms() - anchor_->elapsed_ms);
  if (Apart(log_time_ms, expected_ms)) {
    return FailedPrecondition(
        "the coordinator's clock says {}, but by the time that has passed it should be {}: it was "
        "set by more than a day; ask the operator to set it right",
        base::UtcTime(log_time_ms), base::UtcTime(expected_ms));
  }
  latest_ms_ = std::max(latest_ms_, log_time_ms);
  return OkStatus();
}

}  // namespace crowdteach::client
