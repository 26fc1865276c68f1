#include "client/training_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace crowdteach::client {
namespace {

template <typename Number>
bool TakeNumber(std::string_view* text, Number* value) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *value);
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return error == std::errc();
}

bool TakeText(std::string_view* text, std::string_view expected) {
  if (text->substr(0, expected.size()) != expected) return false;
  text->remove_prefix(expected.size());
  return true;
}

std::string Printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c >= 0x20 && c < 0x7F) {
      text.push_back(c);
    } else if (c == '\t') {
      text.push_back(' ');
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

}  // namespace

std::optional<ProgressLine> ParseProgressLine(std::string_view line) {
  ProgressLine progress{.loss_nats = std::numeric_limits<double>::quiet_NaN()};
  if (!TakeText(&line, "progress ") || !TakeNumber(&line, &progress.done) ||
      !TakeText(&line, "/") || !TakeNumber(&line, &progress.total)) {
    return std::nullopt;
  }
  if (progress.total == 0 || progress.done > progress.total) return std::nullopt;
  if (TakeText(&line, " loss ") && !TakeNumber(&line, &progress.loss_nats)) return std::nullopt;
  if (!line.empty()) return std::nullopt;
  return progress;
}

void TrainingLog::Take(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find_first_of("\r\n"), bytes.size());
    const size_t room = kMaxLineBytes - line_.size();
    line_ += bytes.substr(0, std::min(end, room));
    cut_ = cut_ || end > room;
    if (end == bytes.size()) return;
    Finish();
    bytes.remove_prefix(end + 1);
  }
}

void TrainingLog::End() { Finish(); }

void TrainingLog::Finish() {
  std::string line = std::exchange(line_, {});
  const bool cut = std::exchange(cut_, false);
  if (line.empty()) return;
  if (const auto progress = ParseProgressLine(line); progress.has_value() && !cut) {
    on_progress_(*progress);
    return;
  }
  line = Printable(line) + (cut ? "…" : "");
  kept_.push_back(line);
  if (kept_.size() > kKeptLines) kept_.pop_front();
  on_line_(line);
}

std::string TrainingLog::Tail() const {
  std::string tail;
  for (const std::string& line : kept_) tail += fmt::format("\n | {}", line);
  return tail;
}

}  // namespace crowdteach::client
