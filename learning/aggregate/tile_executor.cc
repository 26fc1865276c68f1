#include "learning/aggregate/tile_executor.h"

#include <exception>

#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

Status Call(const TileExecutor::TileFunction& function, uint64_t tile, unsigned slot) {
  try {
    return function(tile, slot);
  } catch (const std::exception& error) {
    return Internal("tile {}: {}", tile, error.what());
  }
}

}  // namespace

TileExecutor::TileExecutor(unsigned threads) {
  CT_ASSERT(threads >= 1);
  for (unsigned slot = 1; slot < threads; ++slot) {
    workers_.emplace_back([this, slot] { WorkerMain(slot); });
  }
}

TileExecutor::~TileExecutor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void TileExecutor::WorkerMain(unsigned slot) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || job_ != seen; });
    if (stopping_) return;
    seen = job_;
    // A worker that wakes after the job's end finds no function and waits for the next job.
    if (function_ == nullptr) continue;
    ++busy_;
    lock.unlock();
    RunTiles(slot);
    lock.lock();
    if (--busy_ == 0) changed_.notify_all();
  }
}

void TileExecutor::RunTiles(unsigned slot) {
  std::unique_lock lock(mutex_);
  while (next_ < tiles_) {
    const uint64_t tile = next_++;
    const TileFunction& function = *function_;
    lock.unlock();
    Status status = Call(function, tile, slot);
    lock.lock();
    if (status.ok()) continue;
    // Tiles are handed out in order, so every lower one has been begun and will be heard.
    if (status_.ok() || tile < failed_tile_) {
      status_ = std::move(status);
      failed_tile_ = tile;
    }
    next_ = tiles_;
  }
}

Status TileExecutor::ForEachTile(uint64_t tiles, const TileFunction& function) {
  const std::lock_guard one_caller(caller_);
  {
    const std::lock_guard lock(mutex_);
    function_ = &function;
    tiles_ = tiles;
    next_ = 0;
    status_ = OkStatus();
    ++job_;
  }
  changed_.notify_all();
  RunTiles(0);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return busy_ == 0; });
  function_ = nullptr;
  return status_;
}

}  // namespace crowdteach::learning
