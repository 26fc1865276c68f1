#include "client/commands/patience.h"

#include <fmt/core.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "proto/base/exit_codes.h"

namespace crowdteach::client {

bool Patience::Wait(const Status& failed) {
  if (!IsFromPeer(failed) || !wire::IsTransient(failed) || stopped()) return false;
  if (std::chrono::steady_clock::now() - begun_ > std::chrono::minutes(2)) return false;
  const uint64_t wait_ms = backoff_.NextMs();
  fmt::print(stderr, "{}; trying again in {:.1f} s\n", Message(failed),
             static_cast<double>(wait_ms) / 1000);
  std::mutex mutex;
  std::condition_variable_any woken;
  std::unique_lock lock(mutex);
  woken.wait_for(lock, stop_, std::chrono::milliseconds(wait_ms), [] { return false; });
  return !stopped();
}

}  // namespace crowdteach::client
