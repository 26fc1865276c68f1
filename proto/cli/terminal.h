// What standard output can show: whether it is a terminal whose lines may be drawn over, how wide
// it is, and whether it takes more than ASCII.
//
// No colours are used anywhere, so NO_COLOR has nothing to switch off; TERM=dumb and pipes get
// plain lines. Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crowdteach::cli {

// Standard output is a terminal that understands "clear to the end of the line".
bool IsLive();
// Its width; 80 where nobody says.
int Columns();
// The locale (LC_ALL, LC_CTYPE, LANG) is one of UTF-8.
bool IsUtf8();

// The same text for a terminal without UTF-8: "±" becomes "+-", bars become digits, whatever else
// has no ASCII form a "?".
std::string ToAscii(std::string_view text);
// At most `columns` characters of it.
std::string Fit(std::string_view text, int columns);
// "[#####.....]", full when `done` is `total`.
std::string Bar(uint64_t done, uint64_t total, int width);

// To standard output, in ASCII where that is all it takes, and at once.
void Print(std::string_view text);

}  // namespace crowdteach::cli
