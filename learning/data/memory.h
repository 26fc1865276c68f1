// How much memory a data set may take, so that one that is too large is an error and not the end of
// the machine.
#pragma once

#include <cstdint>
#include <string_view>

namespace crowdteach::learning {

// What the machine, and the control group we are in, have left. Thread-safe.
uint64_t FreeMemoryBytes();

// MemAvailable of the text of /proc/meminfo; UINT64_MAX if it is not there.
uint64_t AvailableBytes(std::string_view meminfo);

// What a control group may still take, of the texts of its memory.max, memory.current and
// memory.stat: cached files make room. UINT64_MAX if there is no bound.
uint64_t GroupBytes(std::string_view most, std::string_view used, std::string_view stat);

}  // namespace crowdteach::learning
