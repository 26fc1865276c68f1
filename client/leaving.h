// What a teacher still owes when it is asked to stop, and how long that is waited for.
//
// Nothing is owed but an update that was committed to and not revealed: the quorum may count on it.
// It is delivered if its upload phase is open or opens within a minute; then, or at once if nothing
// is owed, there is leave to go.
// Thread-safety: any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "proto/base/status.h"

namespace crowdteach::client {

class Leaving {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWait{60};

  explicit Leaving(std::stop_token stop, std::chrono::milliseconds wait = kWait)
      : stop_(std::move(stop)), wait_(wait) {}

  // Before a commitment is sent. kCancelled once a stop was requested: nothing new is begun then.
  Status Promise(uint32_t round);
  void Delivering(uint32_t round);
  // The update of `round` was revealed, or the round is over.
  void Kept(uint32_t round);

  struct Owed {
    uint32_t round = 0;  // 0: nothing
    bool delivering = false;
  };
  // To be called when a stop was requested; the first time begins the minute and `*first` is set.
  Owed OnStop(bool* first);

  // A stop was requested, and nothing is owed or the minute is over.
  bool MayGo() const;
  // When the minute is over; none before a stop.
  std::optional<SteadyTime> until() const;
  // kCancelled, in words for the person.
  Status Left() const;

 private:
  const std::stop_token stop_;
  const std::chrono::milliseconds wait_;
  mutable std::mutex mutex_;
  Owed owed_;
  std::optional<SteadyTime> until_;
};

}  // namespace crowdteach::client
