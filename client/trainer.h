// Turns a base model into an update, beside the data: trains in crowdteach-worker, takes the
// difference, quantises it.
//
// Not thread-safe; only the stop token may be used from another thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/aggregate/trainable_file.h"
#include "learning/data/examples.h"
#include "learning/model_runner.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// What a teacher sends. All but kHonest are for demonstrations and tests of the defences, and have
// to be asked for by name.
enum class Behaviour {
  kHonest,
  kZero,      // an update of zeros, without training
  kSignFlip,  // minus the honest update
};
// "honest", "zero", "sign-flip". kInvalidArgument.
StatusOr<Behaviour> ParseBehaviour(std::string_view name);

struct UpdateInfo {
  uint64_t examples = 0;  // trained on, repeats counted
  double mean_loss_nats = 0;
  uint64_t saturated = 0;  // coordinates beyond the range of the fixed point
  uint64_t non_zero = 0;
};

class LocalTrainer {
 public:
  // Spawns the worker and loads the model of the terms. `data` outlives the trainer.
  static StatusOr<std::unique_ptr<LocalTrainer>> Make(const learning::RunnerOptions& options,
                                                      const v1::Terms& terms,
                                                      const learning::ExamplesFile* data,
                                                      Behaviour behaviour);

  // Writes the update (int32, little endian, trainable coordinates in layout order) to
  // `update_path`. kCancelled: `stop` was requested. kInvalidArgument: the training diverged.
  // Otherwise as learning::ModelRunner::Train.
  StatusOr<UpdateInfo> Train(const std::string& base_path, uint64_t seed,
                             const std::string& update_path,
                             const learning::TrainProgress& progress, std::stop_token stop);

  const learning::WeightsFormat& format() const { return format_; }

 private:
  LocalTrainer(const v1::Terms& terms, const learning::ExamplesFile* data, Behaviour behaviour)
      : terms_(terms), data_(data), behaviour_(behaviour) {}
  StatusOr<UpdateInfo> Quantise(const std::string& base_path, const std::string& trained_path,
                                const std::string& update_path) const;

  const v1::Terms terms_;
  const learning::ExamplesFile* const data_;
  const Behaviour behaviour_;
  learning::WeightsFormat format_;
  learning::RunnerOptions options_;
  std::unique_ptr<learning::ModelRunner> runner_;
};

}  // namespace crowdteach::client
