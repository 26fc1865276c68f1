#include "proto/cli/terminal.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace crowdteach::cli {
namespace {

constexpr std::pair<std::string_view, std::string_view> kForms[] = {
    {"±", "+-"},  {"“", "\""}, {"”", "\""}, {"…", "..."}, {"·", "*"}, {"−", "-"},
    {"φ", "phi"}, {"≤", "<="}, {"≥", ">="}, {"→", "->"},  {"▁", "1"}, {"▂", "2"},
    {"▃", "3"},   {"▄", "4"},  {"▅", "5"},  {"▆", "6"},   {"▇", "7"}, {"█", "8"}};

std::string_view Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

bool BeginsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

}  // namespace

bool IsLive() {
  return isatty(STDOUT_FILENO) != 0 && !Environment("TERM").empty() &&
         Environment("TERM") != "dumb";
}

int Columns() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

bool IsUtf8() {
  std::string name;
  for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    name = Environment(variable);
    if (!name.empty()) break;
  }
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name.ends_with("utf-8") || name.ends_with("utf8");
}

std::string ToAscii(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const auto* form = std::find_if(std::begin(kForms), std::end(kForms), [&](const auto& known) {
      return text.substr(0, known.first.size()) == known.first;
    });
    if (form != std::end(kForms)) {
      plain += form->second;
      text.remove_prefix(form->first.size());
      continue;
    }
    const bool ascii = static_cast<unsigned char>(text.front()) < 0x80;
    plain += ascii ? text.front() : '?';
    text.remove_prefix(1);
    while (!ascii && !text.empty() && !BeginsCharacter(text.front())) text.remove_prefix(1);
  }
  return plain;
}

std::string Fit(std::string_view text, int columns) {
  size_t end = 0;
  for (int seen = 0; end < text.size(); ++end) {
    if (BeginsCharacter(text[end]) && seen++ == std::max(columns, 0)) break;
  }
  return std::string(text.substr(0, end));
}

std::string Bar(uint64_t done, uint64_t total, int width) {
  const double share =
      total == 0 ? 0 : static_cast<double>(std::min(done, total)) / static_cast<double>(total);
  const auto full = static_cast<size_t>(share * width);
  return "[" + std::string(full, '#') + std::string(static_cast<size_t>(width) - full, '.') + "]";
}

void Print(std::string_view text) {
  if (IsUtf8()) {
    fmt::print("{}", text);
  } else {
    fmt::print("{}", ToAscii(text));
  }
  std::fflush(stdout);
}

}  // namespace crowdteach::cli
