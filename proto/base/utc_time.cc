#include "proto/base/utc_time.h"

#include <fmt/core.h>

#include <ctime>

namespace crowdteach::base {

std::string UtcTime(uint64_t ms) {
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc = {};
  // A year that does not fit an int: no calendar has it.
  if (ms / 1000 > uint64_t{1} << 40 || gmtime_r(&seconds, &utc) == nullptr) {
    return fmt::format("{} ms", ms);
  }
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03} UTC", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

}  // namespace crowdteach::base
