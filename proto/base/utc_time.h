// Moments as people read them. Thread-safety: pure function.
#pragma once

#include <cstdint>
#include <string>

namespace crowdteach::base {

// "2026-01-31 23:59:59.999 UTC", of milliseconds since 1970; "‹n› ms" where no calendar reaches.
std::string UtcTime(uint64_t ms);

}  // namespace crowdteach::base
