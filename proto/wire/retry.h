// When and how soon to try again.
//
//   Backoff backoff({});
//   for (;;) {
//     Status status = Call();
//     if (!IsTransient(status)) return status;
//     Sleep(backoff.NextMs());
//   }
//
// Thread-safety: a Backoff belongs to one thread.
#pragma once

#include <cstdint>
#include <random>

#include "proto/base/status.h"

namespace crowdteach::wire {

// The peer or the network may do better next time: kUnavailable, kDeadlineExceeded,
// kResourceExhausted.
bool IsTransient(const Status& status);

// Exponential with jitter: attempt n waits a uniform time in [d/2, d], d = min(first · 2^n, max),
// so that clients of a restarted coordinator do not come back all at once.
class Backoff {
 public:
  struct Options {
    uint64_t first_ms = 200;
    uint64_t max_ms = 15'000;
    uint64_t seed = std::random_device{}();  // tests put their own
  };
  explicit Backoff(Options options);

  uint64_t NextMs();
  void Reset() { attempt_ = 0; }  // after a success

 private:
  Options options_;
  uint32_t attempt_ = 0;
  std::mt19937_64 random_;
};

}  // namespace crowdteach::wire
