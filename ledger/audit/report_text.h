// Words and numbers of a report: escaped, and the same bytes on every machine (no locale, no
// clock). Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace crowdteach::audit {

// Fit for the text or a quoted attribute of HTML and SVG. What is not UTF-8, control characters and
// characters that turn or hide text (bidi controls, zero widths) are shown as ⟨U+202E⟩.
std::string Escaped(std::string_view text);
// The same of at most `characters`, the rest an ellipsis.
std::string Shortened(std::string_view text, size_t characters);

std::string Grouped(int64_t value);             // 12,345 and −12,345
std::string Signed(int64_t value);              // +12,345, −12,345, 0
std::string Fixed(double value, int decimals);  // 0.7330, −0.1773
std::string SignedFixed(double value, int decimals);
std::string Percent(double fraction);       // 74.0 %
std::string Seconds(uint64_t duration_ms);  // "90 s", "15 min", "12 h", "7 days"

// "1 round", "12 rounds"
std::string Count(uint64_t number, std::string_view one, std::string_view many);

// Where an axis has its marks: a step of 1, 2 or 5 times a power of ten, all of [low, high]
// covered.
struct Axis {
  double low = 0;  // the first mark
  double step = 1;
  int marks = 2;  // at least two
  int decimals = 0;

  double high() const { return low + step * (marks - 1); }
  double at(int mark) const { return low + step * mark; }
  std::string Label(int mark) const { return Fixed(at(mark), decimals); }
  // 0 at the first mark, 1 at the last.
  double Place(double value) const { return (value - low) / (high() - low); }
};
// At most `most` marks (at least 3). Equal or not finite bounds give an axis around them.
Axis MakeAxis(double low, double high, int most);

}  // namespace crowdteach::audit
