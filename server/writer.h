// The one thread that changes state: it takes what was posted in batches, so that what arrives
// during one commit shares the next.
//
// Post may be called from any thread. The process function runs on the writer thread only.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace crowdteach::server {

struct Batch;

// Something to do within a batch: it may draft entries and ask to be told of the outcome.
using Command = std::function<void(Batch&)>;

class Writer {
 public:
  static constexpr size_t kMaxCommands = 256;

  // Call order: Start once, then Post. `process` handles one batch (possibly empty: time has
  // passed) and returns the wall-clock time at which it wants to be called again, 0 for only when
  // something is posted.
  Writer(std::function<uint64_t(std::vector<Command>)> process, std::function<uint64_t()> now_ms);
  ~Writer();

  // Begins with an empty batch. Apart from the constructor, so that the first batch already finds
  // this object where its owner keeps it.
  void Start();
  void Post(Command command);
  // Runs what was posted before, then stops the thread; what is posted later is never run.
  void Stop();

 private:
  void Run();

  const std::function<uint64_t(std::vector<Command>)> process_;
  const std::function<uint64_t()> now_ms_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Command> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace crowdteach::server
