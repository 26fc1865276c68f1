// A fixed pool of threads that works through the tiles of a vector.
//
// What a tile's function computes must not depend on which thread runs it, nor when: it writes its
// own tile, or adds integers. Then results are the same for every number of threads.
//
// Thread-safety: one ForEachTile at a time; later callers wait. A tile's function must not call it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "proto/base/status.h"

namespace crowdteach::learning {

class TileExecutor {
 public:
  // `threads` >= 1, the caller's own included.
  explicit TileExecutor(unsigned threads);
  ~TileExecutor();
  TileExecutor(const TileExecutor&) = delete;
  TileExecutor& operator=(const TileExecutor&) = delete;

  // `slot` < threads() names the running thread, for scratch memory.
  using TileFunction = std::function<Status(uint64_t tile, unsigned slot)>;

  // Calls `function` once for each tile in [0, tiles), in any order, and returns when all are done.
  // After an error no further tile is begun; the error returned is that of the lowest tile that
  // failed, so it too does not depend on the threads. An exception is kInternal.
  Status ForEachTile(uint64_t tiles, const TileFunction& function);

  unsigned threads() const { return static_cast<unsigned>(workers_.size()) + 1; }

 private:
  void WorkerMain(unsigned slot);
  void RunTiles(unsigned slot);

  std::mutex caller_;  // held by the one ForEachTile
  std::mutex mutex_;
  std::condition_variable changed_;
  const TileFunction* function_ = nullptr;  // guarded by mutex_, as all below
  uint64_t job_ = 0;
  uint64_t tiles_ = 0;
  uint64_t next_ = 0;
  uint64_t failed_tile_ = 0;
  Status status_;
  unsigned busy_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace crowdteach::learning
