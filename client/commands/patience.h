// A command's patience with a coordinator that is away for a moment, say for a restart.
#pragma once

#include <chrono>
#include <stop_token>
#include <utility>

#include "proto/base/status.h"
#include "proto/wire/retry.h"

namespace crowdteach::client {

class Patience {
 public:
  explicit Patience(std::stop_token stop) : stop_(std::move(stop)) {}

  // Says on standard error what is wrong and waits a moment. False: trying again will not help (the
  // peer refused, or it was not the peer), or two minutes are over, or a stop was requested.
  bool Wait(const Status& failed);
  bool stopped() const { return stop_.stop_requested(); }

 private:
  const std::stop_token stop_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  wire::Backoff backoff_{{}};
};

inline const Status& StatusOf(const Status& status) { return status; }
template <typename T>
const Status& StatusOf(const StatusOr<T>& value) {
  return value.status();
}

// Calls `act`, which returns a Status or a StatusOr and may be called again, until it succeeds or
// patience ends. kCancelled: a stop was requested.
template <typename Act>
auto Patiently(const std::stop_token& stop, Act&& act) -> decltype(act()) {
  Patience patience(stop);
  for (;;) {
    auto result = act();
    if (result.ok() || !patience.Wait(StatusOf(result))) {
      if (!result.ok() && patience.stopped()) return absl::CancelledError("stopped");
      return result;
    }
  }
}

}  // namespace crowdteach::client
