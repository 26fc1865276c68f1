#include "client/leaving.h"

namespace crowdteach::client {

Status Leaving::Promise(uint32_t round) {
  const std::lock_guard lock(mutex_);
  if (stop_.stop_requested()) return absl::CancelledError("stopped");
  owed_ = {round, false};
  return OkStatus();
}

void Leaving::Delivering(uint32_t round) {
  const std::lock_guard lock(mutex_);
  owed_ = {round, true};
}

void Leaving::Kept(uint32_t round) {
  const std::lock_guard lock(mutex_);
  if (owed_.round <= round) owed_ = {};
}

Leaving::Owed Leaving::OnStop(bool* first) {
  const std::lock_guard lock(mutex_);
  *first = !until_.has_value();
  if (*first) until_ = std::chrono::steady_clock::now() + wait_;
  return owed_;
}

bool Leaving::MayGo() const {
  const std::lock_guard lock(mutex_);
  if (!stop_.stop_requested()) return false;
  return owed_.round == 0 || (until_.has_value() && std::chrono::steady_clock::now() >= *until_);
}

std::optional<Leaving::SteadyTime> Leaving::until() const {
  const std::lock_guard lock(mutex_);
  return until_;
}

Status Leaving::Left() const {
  const std::lock_guard lock(mutex_);
  if (owed_.round == 0) return absl::CancelledError("left; nothing is lost");
  return absl::CancelledError(
      fmt::format("left; the update committed to in round {} is not delivered, and the round goes "
                  "on without it unless you are back before its upload phase ends",
                  owed_.round));
}

}  // namespace crowdteach::client
