#include "ledger/audit/fetch_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace crowdteach::audit {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kLogEvery{10};
constexpr uint64_t kBarCells = 20;

double MiB(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

std::string BytesInWords(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  if (bytes < (1 << 20)) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format("{:.1f} MiB", MiB(bytes));
}

FetchProgress::FetchProgress(std::string what, uint64_t total_files, uint64_t total_bytes)
    : what_(std::move(what)),
      total_files_(total_files),
      total_bytes_(total_bytes),
      terminal_(isatty(STDERR_FILENO) == 1) {}

void FetchProgress::End() {
  if (std::exchange(drawn_, false)) fmt::print(stderr, "\n");
}

std::string FetchProgress::Line(uint64_t files, uint64_t bytes, double seconds) const {
  std::string line = what_ + "  ";
  if (total_files_ > 0) line += fmt::format("{}/{} files  ", files, total_files_);
  if (total_bytes_ == 0) {
    line += BytesInWords(bytes);
  } else {
    const uint64_t shown = std::min(bytes, total_bytes_);
    const auto full = static_cast<size_t>(static_cast<double>(shown) /
                                          static_cast<double>(total_bytes_) * kBarCells);
    line += fmt::format("{:.1f} of {:.1f} MiB  [{}{}]", MiB(shown), MiB(total_bytes_),
                        std::string(full, '#'), std::string(kBarCells - full, '.'));
  }
  const uint64_t moved = bytes - std::min(bytes, begun_bytes_);
  if (seconds >= 1) line += fmt::format("  {:.1f} MiB/s", MiB(moved) / seconds);
  return line;
}

void FetchProgress::Show(uint64_t files, uint64_t bytes) {
  if (std::exchange(first_, false)) begun_bytes_ = bytes;
  const Clock::time_point now = Clock::now();
  const bool last = total_files_ > 0 && files == total_files_;
  const Clock::duration wait = terminal_ ? Clock::duration(kRedraw) : Clock::duration(kLogEvery);
  if (now - shown_ < wait && !(last && terminal_)) return;
  shown_ = now;
  const std::string line = Line(files, bytes, std::chrono::duration<double>(now - begun_).count());
  if (terminal_) {
    fmt::print(stderr, "\r{}\x1b[K", line);
    drawn_ = true;
  } else {
    fmt::print(stderr, "{}\n", line);
  }
  std::fflush(stderr);
}

}  // namespace crowdteach::audit
