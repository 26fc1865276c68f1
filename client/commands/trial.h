// A few steps of a campaign's local training on fresh weights: whether it works here, and how long
// a round would take.
#pragma once

#include <cstdint>
#include <stop_token>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/data/examples.h"
#include "learning/model_runner.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct Trial {
  double loss_nats = 0;  // of the first batch, before any step
  uint64_t steps = 0;    // done here
  uint64_t round_steps = 0;
  double step_ms = 0;
  double round_ms() const { return step_ms * static_cast<double>(round_steps); }
};

// `code_path`: of a model as code, its file. kInvalidArgument: the loss is not finite; kCancelled:
// `stop` was requested; else as learning::ModelRunner. Leaves no file behind.
StatusOr<Trial> TryTraining(const learning::RunnerOptions& runner, const v1::Terms& terms,
                            const std::string& code_path, const learning::ExamplesFile& data,
                            const std::stop_token& stop);

}  // namespace crowdteach::client
