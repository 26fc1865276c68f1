// Ends a transfer in which nothing moves.
//
// The one timeout of everything that may take long: as long as bytes move, however slowly, a
// transfer goes on. A dead link is noticed sooner, by keepalive (proto/wire/credentials.h); this is
// for a peer that answers and does nothing.
// Thread-safety: Moved and Explain from the thread that made it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "proto/base/status.h"

namespace crowdteach::wire {

// Time enough for a chunk of 1 MiB at 4 kB/s.
inline constexpr int kStallTimeoutS = 300;

class StallGuard {
 public:
  // `context`: of the call to cancel; outlives the guard.
  StallGuard(grpc::ClientContext* context, int timeout_s);
  ~StallGuard();
  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;

  void Moved();  // something has
  // The call ended with this: says so if it was the guard that ended it.
  Status Explain(Status ended);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t moves_ = 0;
  bool over_ = false;
  bool stalled_ = false;
  const int timeout_s_;
  std::thread thread_;
};

}  // namespace crowdteach::wire
