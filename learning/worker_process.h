// One crowdteach-worker as a child process: spawns it, exchanges messages, watches its progress,
// and turns its death into a status. ModelRunner says what is asked; this says how.
// Not thread-safe; a stop token may be used from any thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "crowdteach/v1/worker.pb.h"
#include "learning/model_runner.h"
#include "learning/worker_channel.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

class WorkerProcess {
 public:
  // As ModelRunner::Spawn.
  static StatusOr<std::unique_ptr<WorkerProcess>> Spawn(const RunnerOptions& options);
  ~WorkerProcess();  // kills it

  // Sends `request` (its id is filled in) with `fds` beside it and waits for the answer, which is
  // neither progress nor error. Errors: the worker's own, kCancelled, or its death.
  StatusOr<v1::WorkerReply> Call(v1::WorkerRequest request, const std::vector<int>& fds,
                                 const TrainProgress& progress, const std::stop_token& stop);

  bool alive() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }

 private:
  explicit WorkerProcess(const RunnerOptions& options) : options_(options) {}
  Status Start();
  // The next message within `timeout_ms`; `cancel_fd` (-1: none) becoming readable sends a
  // cancellation of request `id`, once.
  StatusOr<v1::WorkerReply> Next(int64_t timeout_ms, int* cancel_fd, uint64_t id);
  // Kills and reaps the worker; returns, and keeps, why it is gone.
  Status Bury(const Status& cause);
  void DrainStderr();

  RunnerOptions options_;
  pid_t pid_ = -1;
  Fd socket_;
  Fd stderr_;
  std::unique_ptr<FrameReader> reader_;
  uint64_t last_id_ = 0;
  std::string printed_;  // the end of what it wrote to stderr
  Status death_;
};

}  // namespace crowdteach::learning
