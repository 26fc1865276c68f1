// Notices on their way from the thread that reads the stream to the one that teaches.
//
// Thread-safety: Put and End on one thread, Take on another.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
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
  // False at the end of the stream; then `end()` says why.
  bool Take(Arrived* next) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || !notices_.empty(); });
    if (notices_.empty()) return false;
    *next = std::move(notices_.front());
    notices_.pop_front();
    return true;
  }
  const Status& end() const { return end_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Arrived> notices_;
  bool ended_ = false;
  Status end_;
};

}  // namespace crowdteach::client
