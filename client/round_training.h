// One round of training: a trainer's work on mapped weights, checked and turned into an update.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>

#include "client/enrolment.h"
#include "client/teacher.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct RoundWork {
  uint32_t round = 0;
  uint64_t seed = 0;
  std::string base_path;  // verified weights
  std::chrono::steady_clock::time_point deadline;
  std::string scratch;      // a folder that is made, and removed at the end
  std::string update_path;  // where the update goes
};

// kAborted: nothing comes of this round (the trainer said so, threw, or left weights that cannot
// be). kCancelled: `stop` was requested. Otherwise the trainer's error, or a file's.
StatusOr<UpdateSummary> TrainRound(const Joining& joining, const RoundWork& work, Trainer& trainer,
                                   Observer& observer, const std::stop_token& stop);

}  // namespace crowdteach::client
