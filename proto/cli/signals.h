// SIGINT and SIGTERM as a stop token.
//
// The first signal requests a stop: a program finishes what it owes, says so, and ends by itself.
// The second ends the process at once with exit code 130.
// One object at a time, made before other threads are; thread-safe to read.
#pragma once

#include <stop_token>
#include <thread>

namespace crowdteach::cli {

class StopOnSignals {
 public:
  StopOnSignals();
  ~StopOnSignals();
  StopOnSignals(const StopOnSignals&) = delete;
  StopOnSignals& operator=(const StopOnSignals&) = delete;

  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::thread waiter_;
};

}  // namespace crowdteach::cli
