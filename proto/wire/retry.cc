#include "proto/wire/retry.h"

#include <algorithm>

#include "proto/base/assert.h"

namespace crowdteach::wire {

bool IsTransient(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

Backoff::Backoff(Options options) : options_(options), random_(options.seed) {
  CT_ASSERT(options_.first_ms > 0 && options_.first_ms <= options_.max_ms);
}

uint64_t Backoff::NextMs() {
  uint64_t limit_ms = options_.first_ms;
  for (uint32_t i = 0; i < attempt_ && limit_ms < options_.max_ms; ++i) limit_ms *= 2;
  limit_ms = std::min(limit_ms, options_.max_ms);
  ++attempt_;
  return std::uniform_int_distribution<uint64_t>(limit_ms / 2, limit_ms)(random_);
}

}  // namespace crowdteach::wire
