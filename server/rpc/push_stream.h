// A stream of messages pushed to one client: Attend and Watch.
//
// gRPC takes one message at a time, so what comes meanwhile waits in a queue. kKeepAll never drops:
// a client that leaves kMaxQueue messages unread is disconnected. kKeepNewest forgets older ones.
// The stream ends when the client leaves; `on_done` is then called once, and the object deletes
// itself. Thread-safety: Push from any thread, also before the handler has returned the reactor.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "proto/wire/status.h"

namespace crowdteach::server {

enum class Backlog { kKeepAll, kKeepNewest };

template <typename M>
class PushStream final : public grpc::ServerWriteReactor<M> {
 public:
  static constexpr size_t kMaxQueue = 256;

  PushStream(grpc::CallbackServerContext* call, Backlog backlog) : call_(call), backlog_(backlog) {}

  // Before the handler returns the reactor.
  void OnDoneCall(std::function<void()> on_done) { on_done_ = std::move(on_done); }

  void Push(std::shared_ptr<const M> message) {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    if (backlog_ == Backlog::kKeepNewest) queue_.clear();
    if (queue_.size() >= kMaxQueue) {
      call_->TryCancel();  // a write may hang for ever on a client that does not read
      return FinishLocked(ResourceExhausted("{} messages were left unread", kMaxQueue));
    }
    queue_.push_back(std::move(message));
    WriteNextLocked();
  }

  void End(const Status& status) {
    const std::lock_guard lock(mutex_);
    FinishLocked(status);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    current_.reset();
    if (!ok) return FinishLocked(Unavailable("the client is gone"));
    WriteNextLocked();
  }

  void OnCancel() override { End(absl::CancelledError("the client left")); }

  void OnDone() override {
    if (on_done_) on_done_();
    delete this;
  }

 private:
  void WriteNextLocked() {
    if (finished_ || current_ != nullptr || queue_.empty()) return;
    current_ = std::move(queue_.front());
    queue_.pop_front();
    this->StartWrite(current_.get());
  }

  void FinishLocked(const Status& status) {
    if (finished_) return;
    finished_ = true;
    queue_.clear();
    this->Finish(wire::ToGrpc(status));
  }

  grpc::CallbackServerContext* const call_;
  const Backlog backlog_;
  std::function<void()> on_done_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<const M>> queue_;
  std::shared_ptr<const M> current_;  // being written
  bool finished_ = false;
};

}  // namespace crowdteach::server
