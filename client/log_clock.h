// The log's time, told from this machine's wall clock only once.
//
// What is signed is good until ten minutes after the log's time, so a coordinator whose time lies
// in the future would get signatures that stay good for as long. The first time it names is
// therefore compared with the wall clock; later ones only with what has passed since, on a clock
// that nobody sets. So a wall clock that jumps while a program runs changes nothing.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "proto/base/status.h"

namespace crowdteach::client {

class LogClock {
 public:
  static constexpr uint64_t kMaxSkewMs = 86'400'000;

  struct Clocks {
    std::function<uint64_t()> wall_ms;     // Unix time
    std::function<uint64_t()> elapsed_ms;  // never set, and counts while the machine sleeps
  };
  LogClock();
  explicit LogClock(Clocks clocks) : clocks_(std::move(clocks)) {}

  // The coordinator says that it is `log_time_ms`. kFailedPrecondition: more than a day from what
  // it should be.
  Status Note(uint64_t log_time_ms);
  // The latest time noted; 0 before.
  uint64_t now_ms() const { return latest_ms_; }

 private:
  struct Anchor {
    uint64_t log_ms = 0;
    uint64_t elapsed_ms = 0;
  };
  Clocks clocks_;
  std::optional<Anchor> anchor_;
  uint64_t latest_ms_ = 0;
};

}  // namespace crowdteach::client
