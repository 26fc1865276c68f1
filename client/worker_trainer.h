// The built-in trainer: trains in crowdteach-worker, by the campaign's own terms.
//
// Not thread-safe; only the stop token may be used from another thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include "client/teacher.h"
#include "crowdteach/v1/ledger.pb.h"
#include "learning/data/examples.h"
#include "learning/layout.h"
#include "learning/model_runner.h"
#include "proto/base/status.h"

namespace crowdteach::client {

class WorkerTrainer : public Trainer {
 public:
  // Reads the examples once the campaign says what they are.
  using ReadExamples = std::function<StatusOr<learning::ExamplesFile>(const v1::DataTerms&)>;

  WorkerTrainer(learning::RunnerOptions options, ReadExamples read)
      : options_(std::move(options)), read_(std::move(read)) {}

  // Reads the examples, spawns the worker and loads the model. Errors of reading, and as
  // learning::ModelRunner. kInvalidArgument: a model as code, which the options do not allow.
  StatusOr<uint64_t> Prepare(const Campaign& campaign) override;
  // A worker that died is replaced, and the round trained once more. kAborted: that one died, too.
  // kInvalidArgument: the training diverged. Otherwise as learning::ModelRunner::Train.
  StatusOr<TrainingSummary> Train(const Task& task, std::span<float> weights, Progress& progress,
                                  std::stop_token stop) override;

 private:
  Status StartWorker();

  const learning::RunnerOptions options_;
  const ReadExamples read_;
  v1::Terms terms_;
  learning::Layout layout_;
  std::string code_path_;  // of a model as code; otherwise empty
  std::optional<learning::ExamplesFile> examples_;
  std::unique_ptr<learning::ModelRunner> runner_;
};

}  // namespace crowdteach::client
