// A few threads for what waits for the disk, so that gRPC's own never do.
//
// Each stream has at most one task here at a time, so the queue is as long as there are streams.
// Thread-safety: any thread. The destructor runs what is queued, then joins.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace crowdteach::server {

class DiskPool {
 public:
  explicit DiskPool(size_t threads);
  ~DiskPool();
  void Post(std::function<void()> task);  // must not throw

 private:
  void Run();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace crowdteach::server
