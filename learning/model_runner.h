// Runs a model in a process of its own: spawns crowdteach-worker (the only program with Torch) and
// asks it to train, evaluate and differentiate. Links no Torch.
//
// Call order: Spawn, LoadModel once, then any number of Train, Evaluate, Gradient, one at a time.
// The worker drops its rights before it reads the model: it opens no file or socket and starts no
// program, its memory is bounded, and it is killed when it makes no progress.
//
// Its death is a status, never ours: kUnavailable (crashed, or killed from outside),
// kResourceExhausted (out of memory), kDeadlineExceeded (stalled, and killed for it); the message
// says which, with the end of what it printed. A worker that does not heed a stop in time is
// killed, too, and the call is kCancelled. alive() is false then, every further call returns
// kUnavailable with that reason, and a new Spawn is the way on.
//
// Results depend on the model, the inputs, the seed and the number of threads, nothing else; they
// are not the same bits on every machine.
// Not thread-safe; only a stop token may be used from another thread.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/loss_oracle.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

struct RunnerOptions {
  std::string worker_path;                          // the program crowdteach-worker
  int threads = 1;                                  // 1-256
  uint64_t memory_limit_bytes = uint64_t{4} << 30;  // private memory, Torch's own included
  int64_t start_timeout_ms = 120'000;               // Spawn: loading Torch and warming up
  int64_t progress_timeout_ms = 120'000;            // longest silence: one batch
  int64_t cancel_timeout_ms = 10'000;               // from a stop to its being heeded
  bool sandbox = true;                              // false: models run with our own rights
  bool allow_model_code = false;                    // TorchScript; only in the sandbox
  // When requested, whatever waits for the worker kills it and is kCancelled: to shut down.
  std::stop_token shut_down;
};

// Weights are canonical safetensors files of the loaded model; examples_fd is an open examples file
// (ExamplesFile::fd()), borrowed.
struct TrainRequest {
  std::string weights_path;
  int examples_fd = -1;
  v1::LocalTerms local;
  uint64_t seed = 0;        // of shuffling and dropout
  std::string output_path;  // the new weights, canonical; written whole or not at all
};
struct TrainResult {
  uint64_t batches = 0;
  uint64_t examples = 0;
  double mean_loss_nats = 0;  // over the batches, as they were trained on
  bool finite = true;         // false: it diverged, and output_path was not written
};
// After each batch: how many are done, of how many, that batch's mean loss in nats.
using TrainProgress = std::function<void(uint64_t batch, uint64_t batches, double loss_nats)>;

struct EvaluateResult : Evaluation {
  uint64_t count = 0;
  std::vector<uint64_t> per_class_count;
};

class WorkerProcess;

class ModelRunner {
 public:
  // kFailedPrecondition: this kernel refuses the sandbox (the message says how to go without).
  // kNotFound, kPermissionDenied: worker_path. kInvalidArgument: an option.
  static StatusOr<std::unique_ptr<ModelRunner>> Spawn(const RunnerOptions& options);
  ~ModelRunner();  // kills the worker

  // `code_path`: of a model as code, its TorchScript file; otherwise empty.
  // kInvalidArgument: model.toml, the terms or the code are wrong, or do not fit each other; or the
  // options do not allow code.
  // kResourceExhausted: the model is larger than a limit. kNotFound: code_path.
  Status LoadModel(std::string_view model_toml, const v1::DataTerms& data,
                   const std::string& code_path = {});

  // All three: kInvalidArgument: weights or examples are not of this model; kResourceExhausted: a
  // batch needs more memory than the limit, or the disk is full; kCancelled: `stop` was requested
  // (the worker lives on); kNotFound, kPermissionDenied: a file; and the worker's death.
  StatusOr<TrainResult> Train(const TrainRequest& request, const TrainProgress& progress = {},
                              const std::stop_token& stop = {});
  // `logits_path`, if any, gets float32 little endian, examples × classes.
  StatusOr<EvaluateResult> Evaluate(const std::string& weights_path, int examples_fd,
                                    const std::string& logits_path = {},
                                    const std::stop_token& stop = {});
  // As LossOracle::Gradient. kInvalidArgument besides: blocks is 0 or more than the examples.
  StatusOr<EvaluateResult> Gradient(const std::string& weights_path, int examples_fd,
                                    uint32_t blocks, const std::string& gradient_path,
                                    const std::stop_token& stop = {});

  bool alive() const;
  int pid() const;  // for logs

 private:
  explicit ModelRunner(std::unique_ptr<WorkerProcess> process);
  std::unique_ptr<WorkerProcess> process_;
};

// Scoring's oracle over a runner with a loaded model. The runner must outlive it; the examples file
// stays open through examples_fd, borrowed. kInvalidArgument: blocks is 0 or more than `examples`.
StatusOr<std::unique_ptr<LossOracle>> MakeOracle(ModelRunner& runner, int examples_fd,
                                                 uint64_t examples, uint32_t blocks);

}  // namespace crowdteach::learning
