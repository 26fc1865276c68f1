// How far a long download is: one line that is drawn over on a terminal, a plain line every ten
// seconds elsewhere; on standard error. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace crowdteach::audit {

class FetchProgress {
 public:
  // `total_bytes` 0: not known.
  FetchProgress(std::string what, uint64_t total_files, uint64_t total_bytes);
  ~FetchProgress() { End(); }
  FetchProgress(const FetchProgress&) = delete;
  FetchProgress& operator=(const FetchProgress&) = delete;

  void Show(uint64_t files, uint64_t bytes);
  void End();  // leaves the line

  // "12/84 files  123.4 of 312.0 MiB  [######..............]  41.2 MiB/s": what Show prints.
  std::string Line(uint64_t files, uint64_t bytes, double seconds) const;

 private:
  using Clock = std::chrono::steady_clock;
  const std::string what_;
  const uint64_t total_files_;
  const uint64_t total_bytes_;
  const bool terminal_;
  const Clock::time_point begun_ = Clock::now();
  Clock::time_point shown_ = begun_;
  uint64_t begun_bytes_ = 0;  // were here before
  bool first_ = true;
  bool drawn_ = false;
};

// "312.0 MiB"
std::string BytesInWords(uint64_t bytes);

}  // namespace crowdteach::audit
