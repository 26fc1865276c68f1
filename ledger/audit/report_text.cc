#include "ledger/audit/report_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace crowdteach::audit {
namespace {

constexpr std::string_view kMinus = "\u2212";

// The next character of well-formed UTF-8 (RFC 3629) at the front of `text`, and its bytes.
struct Character {
  uint32_t code = 0;
  size_t bytes = 0;
};
std::optional<Character> NextCharacter(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return Character{first, 1};
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return std::nullopt;
  uint32_t code = first & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kLeast[length] || code > 0x10ffff || surrogate) return std::nullopt;
  return Character{code, length};
}

// Control characters, and what turns, joins or hides the text around it.
bool IsTreacherous(uint32_t code) {
  const auto within = [code](uint32_t first, uint32_t last) {
    return code >= first && code <= last;
  };
  return code < 0x20 || within(0x7f, 0x9f) || code == 0xad || code == 0x61c || code == 0x180e ||
         within(0x200b, 0x200f) || within(0x2028, 0x202e) || within(0x2060, 0x206f) ||
         code == 0xfeff || within(0xfff9, 0xfffb) || within(0xfe00, 0xfe0f) || code >= 0xe0000;
}

// At most `characters` of the text; says whether that was all.
std::string EscapeSome(std::string_view text, size_t characters, bool* all) {
  std::string out;
  while (!text.empty() && characters-- > 0) {
    const std::optional<Character> next = NextCharacter(text);
    const size_t bytes = next ? next->bytes : 1;
    const std::string_view piece = text.substr(0, bytes);
    if (!next) {
      out += fmt::format("\u27e8{:02X}\u27e9", static_cast<unsigned char>(text[0]));
    } else if (IsTreacherous(next->code)) {
      out += fmt::format("\u27e8U+{:04X}\u27e9", next->code);
    } else if (piece == "&") {
      out += "&amp;";
    } else if (piece == "<") {
      out += "&lt;";
    } else if (piece == ">") {
      out += "&gt;";
    } else if (piece == "\"") {
      out += "&quot;";
    } else if (piece == "'") {
      out += "&#39;";
    } else {
      out += piece;
    }
    text.remove_prefix(bytes);
  }
  *all = text.empty();
  return out;
}

std::string GroupedDigits(uint64_t value) {
  std::string digits = fmt::format("{}", value);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

uint64_t Magnitude(int64_t value) {
  return value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
}

}  // namespace

std::string Escaped(std::string_view text) {
  bool all = true;
  return EscapeSome(text, std::numeric_limits<size_t>::max(), &all);
}

std::string Shortened(std::string_view text, size_t characters) {
  bool all = true;
  std::string whole = EscapeSome(text, characters, &all);
  if (all) return whole;
  return EscapeSome(text, characters - 1, &all) + "\u2026";
}

std::string Grouped(int64_t value) {
  return fmt::format("{}{}", value < 0 ? kMinus : "", GroupedDigits(Magnitude(value)));
}

std::string Signed(int64_t value) { return value > 0 ? "+" + Grouped(value) : Grouped(value); }

std::string Fixed(double value, int decimals) {
  if (!std::isfinite(value)) return "\u2013";
  const std::string digits = fmt::format("{:.{}f}", std::fabs(value), decimals);
  const bool zero = digits.find_first_not_of("0.") == std::string::npos;
  return value < 0 && !zero ? std::string(kMinus) + digits : digits;
}

std::string SignedFixed(double value, int decimals) {
  const std::string digits = Fixed(value, decimals);
  const bool zero = digits.find_first_not_of("0.") == std::string::npos;
  return value > 0 && !zero ? "+" + digits : digits;
}

std::string Percent(double fraction) { return Fixed(fraction * 100, 1) + "\u00a0%"; }

std::string Seconds(uint64_t duration_ms) {
  constexpr uint64_t kMinute = 60'000;
  constexpr uint64_t kHour = 60 * kMinute;
  constexpr uint64_t kDay = 24 * kHour;
  if (duration_ms >= kDay && duration_ms % kDay == 0) {
    return Count(duration_ms / kDay, "day", "days");
  }
  if (duration_ms >= kHour && duration_ms % kHour == 0) {
    return fmt::format("{} h", duration_ms / kHour);
  }
  if (duration_ms >= kMinute && duration_ms % kMinute == 0) {
    return fmt::format("{} min", duration_ms / kMinute);
  }
  if (duration_ms % 1000 == 0) return fmt::format("{} s", duration_ms / 1000);
  return fmt::format("{} ms", duration_ms);
}

std::string Count(uint64_t number, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", GroupedDigits(number), number == 1 ? one : many);
}

Axis MakeAxis(double low, double high, int most) {
  if (!std::isfinite(low) || !std::isfinite(high) || high < low) low = high = 0;
  const double size = std::max({std::fabs(low), std::fabs(high), 1e-9});
  if (high - low < size * 1e-9) {  // all the same
    low -= size / 2;
    high += size / 2;
  }
  // The smallest nice step whose marks cover the range.
  for (int power = -12; power < 300; ++power) {
    for (const int factor : {1, 2, 5}) {
      Axis axis;
      axis.step = factor * std::pow(10.0, power);
      axis.decimals = std::max(0, -power);
      if ((high - low) / axis.step > most) continue;
      const double first = std::floor(low / axis.step + 1e-9);
      const double last = std::ceil(high / axis.step - 1e-9);
      axis.low = first * axis.step;
      axis.marks = static_cast<int>(last - first) + 1;
      if (axis.marks <= most) return axis;
    }
  }
  return {};
}

}  // namespace crowdteach::audit
