// ParseDurationMs and ParseNano of campaign_toml.h.
#include <charconv>
#include <utility>

#include "client/campaign_toml.h"
#include "proto/base/bytes.h"

namespace crowdteach::client {

StatusOr<uint64_t> ParseDurationMs(std::string_view text) {
  static constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  // Beyond every bound in any unit, and times a day it still fits 64 bits.
  constexpr uint64_t kMaxCount = 100'000'000'000;
  uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  const std::string_view name = text.substr(static_cast<size_t>(rest - text.data()));
  if (error == std::errc() && count <= kMaxCount) {
    for (const auto& [unit, ms] : kUnits) {
      if (name == unit) return count * ms;
    }
  }
  return InvalidArgument(
      "{}: must be a duration: a whole number and ms, s, m, h or d, such as "
      "\"90s\"",
      base::Quoted(text));
}

StatusOr<int64_t> ParseNano(std::string_view text) {
  const auto refuse = [&] {
    return InvalidArgument(
        "{}: must be a decimal number such as 0.05, with at most 9 decimals and "
        "within ±9000000000",
        base::Quoted(text));
  };
  std::string_view digits = text;
  const bool negative = !digits.empty() && digits.front() == '-';
  if (negative) digits.remove_prefix(1);
  const size_t point = digits.find('.');
  const std::string_view whole = digits.substr(0, point);
  const std::string_view decimals =
      point == std::string_view::npos ? std::string_view("0") : digits.substr(point + 1);
  if (whole.empty() || whole.size() > 10 || decimals.empty() || decimals.size() > 9)
    return refuse();
  int64_t value = 0;
  for (const std::string_view part : {whole, decimals}) {
    for (const char c : part) {
      if (c < '0' || c > '9') return refuse();
      value = value * 10 + (c - '0');
    }
    if (part.data() == whole.data() && value > 9'000'000'000) return refuse();
  }
  for (size_t i = decimals.size(); i < 9; ++i) value *= 10;
  return negative ? -value : value;
}

}  // namespace crowdteach::client
