#include "proto/base/duration.h"

#include <charconv>
#include <system_error>

namespace crowdteach::base {
namespace {

struct Unit {
  std::string_view name;
  uint64_t ms;
};
// Longest first for printing; parsing takes the whole suffix.
constexpr Unit kUnits[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr uint64_t kMaxDurationMs = uint64_t{3653} * 86'400'000;

}  // namespace

StatusOr<uint64_t> ParseDuration(std::string_view text) {
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  for (const Unit& unit : kUnits) {
    if (error != std::errc() || suffix != unit.name) continue;
    if (count == 0 || count > kMaxDurationMs / unit.ms) break;
    return count * unit.ms;
  }
  return InvalidArgument(
      "\"{}\" is not a duration: write a whole number from 1 and a unit, like 7d, 12h, 15m, 90s or "
      "500ms (ten years at most)",
      text.substr(0, 40));
}

std::string FormatDuration(uint64_t duration_ms) {
  for (const Unit& unit : kUnits) {
    if (duration_ms % unit.ms == 0) return fmt::format("{}{}", duration_ms / unit.ms, unit.name);
  }
  return {};  // not reached: every number is a multiple of 1 ms
}

}  // namespace crowdteach::base
