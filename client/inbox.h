// Notices on their way from the thread that reads the stream to the one that teaches: in order,
// then the stream's end.
//
// Thread-safety: any thread; one takes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "crowdteach/v1/coordinator.pb.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct Arrived {
  v1::Notice notice;
  std::chrono::steady_clock::time_point time;
  std::stop_source end;  // of a task: its round has ended
};

class Inbox {
 public:
  void Put(Arrived arrived) {
    const std::lock_guard lock(mutex_);
    notices_.push_back(std::move(arrived));
    changed_.notify_one();
  }
  void End(Status status) {
    const std::lock_guard lock(mutex_);
    end_ = std::move(status);
    ended_ = true;
    changed_.notify_one();
  }
  void Wake() {  // whoever takes looks again at what it waits for
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_one();
  }

  enum class Got { kNotice, kNothing, kEnd };
  // kNothing: woken, or `until` has come. kEnd: of the stream; then `end()` says why.
  Got Take(Arrived* next, std::optional<std::chrono::steady_clock::time_point> until) {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return ended_ || woken_ || !notices_.empty(); };
    if (!until.has_value()) {
      changed_.wait(lock, ready);
    } else if (!changed_.wait_until(lock, *until, ready)) {
      return Got::kNothing;
    }
    if (std::exchange(woken_, false)) return Got::kNothing;
    if (notices_.empty()) return Got::kEnd;
    *next = std::move(notices_.front());
    notices_.pop_front();
    return Got::kNotice;
  }
  const Status& end() const { return end_; }  // after kEnd

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Arrived> notices_;
  bool ended_ = false;
  bool woken_ = false;
  Status end_;
};

}  // namespace crowdteach::client
