#include "proto/wire/stall.h"

#include <chrono>
#include <utility>

#include "proto/base/exit_codes.h"

namespace crowdteach::wire {

StallGuard::StallGuard(grpc::ClientContext* context, int timeout_s) : timeout_s_(timeout_s) {
  thread_ = std::thread([this, context] {
    std::unique_lock lock(mutex_);
    while (!over_) {
      const uint64_t seen = moves_;
      if (changed_.wait_for(lock, std::chrono::seconds(timeout_s_),
                            [&] { return over_ || moves_ != seen; })) {
        continue;
      }
      stalled_ = true;
      context->TryCancel();
      return;
    }
  });
}

StallGuard::~StallGuard() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

void StallGuard::Moved() {
  const std::lock_guard lock(mutex_);
  ++moves_;
  changed_.notify_one();
}

Status StallGuard::Explain(Status ended) {
  const std::lock_guard lock(mutex_);
  if (!stalled_ || ended.ok()) return ended;
  return FromPeer(
      Unavailable("the coordinator answers, but nothing has moved for {} s", timeout_s_));
}

}  // namespace crowdteach::wire
