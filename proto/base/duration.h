// Durations as people write them.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::base {

// "7d", "90s", "15m", "12h", "500ms" → milliseconds. kInvalidArgument: no unit, zero, not a whole
// number, over ten years.
StatusOr<uint64_t> ParseDuration(std::string_view text);
// The shortest exact spelling in those units: 90000 → "90s".
std::string FormatDuration(uint64_t duration_ms);

}  // namespace crowdteach::base
