// What a training program prints: progress lines become steps, others are its log.
//
//   progress 120/400 loss 0.5312      done/total, and the loss in nats if it is known
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace crowdteach::client {

struct ProgressLine {
  uint64_t done = 0, total = 0;  // done <= total, total > 0
  double loss_nats = 0;          // NaN: not told
};
// None unless it is exactly such a line.
std::optional<ProgressLine> ParseProgressLine(std::string_view line);

class TrainingLog {
 public:
  static constexpr size_t kMaxLineBytes = 400;  // what is beyond is dropped
  static constexpr size_t kKeptLines = 10;

  // Lines come without their end, bytes outside printable ASCII as \xNN; empty ones do not come.
  TrainingLog(std::function<void(const ProgressLine&)> on_progress,
              std::function<void(std::string_view)> on_line)
      : on_progress_(std::move(on_progress)), on_line_(std::move(on_line)) {}

  // The next bytes, in pieces of any size. A line ends with LF or CR.
  void Take(std::string_view bytes);
  void End();  // the last line need not end

  // The last log lines, each in a line with " | " before it; "" if there are none.
  std::string Tail() const;

 private:
  void Finish();

  const std::function<void(const ProgressLine&)> on_progress_;
  const std::function<void(std::string_view)> on_line_;
  std::string line_;
  bool cut_ = false;
  std::deque<std::string> kept_;
};

}  // namespace crowdteach::client
