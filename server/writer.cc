#include "server/writer.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace crowdteach::server {
namespace {

// The wall clock may be set while we sleep, so a far deadline is looked at again now and then.
constexpr uint64_t kMaxSleepMs = 1000;

}  // namespace

Writer::Writer(std::function<uint64_t(std::vector<Command>)> process,
               std::function<uint64_t()> now_ms)
    : process_(std::move(process)), now_ms_(std::move(now_ms)) {}

void Writer::Start() {
  thread_ = std::thread([this] { Run(); });
}

Writer::~Writer() { Stop(); }

void Writer::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Writer::Post(Command command) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(command));
  }
  changed_.notify_one();
}

void Writer::Run() {
  uint64_t wake_ms = now_ms_();
  for (;;) {
    std::vector<Command> commands;
    {
      std::unique_lock lock(mutex_);
      while (queue_.empty() && !stopping_) {
        if (wake_ms == 0) {
          changed_.wait(lock);
          continue;
        }
        const uint64_t now = now_ms_();
        if (now >= wake_ms) break;
        changed_.wait_for(lock, std::chrono::milliseconds(std::min(wake_ms - now, kMaxSleepMs)));
      }
      if (queue_.empty() && stopping_) return;
      const size_t take = std::min(queue_.size(), kMaxCommands);
      commands.assign(std::make_move_iterator(queue_.begin()),
                      std::make_move_iterator(queue_.begin() + static_cast<ptrdiff_t>(take)));
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(take));
    }
    wake_ms = process_(std::move(commands));
  }
}

}  // namespace crowdteach::server
