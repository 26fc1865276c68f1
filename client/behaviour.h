// What else a teacher may send than what it learnt: for demonstrations and tests of the defences.
#pragma once

#include <memory>
#include <string_view>

#include "client/teacher.h"
#include "proto/base/status.h"

namespace crowdteach::client {

enum class Behaviour {
  kHonest,
  kZero,      // an update of zeros, without training
  kSignFlip,  // minus the honest update
};
// "honest", "zero", "sign-flip". kInvalidArgument.
StatusOr<Behaviour> ParseBehaviour(std::string_view name);

// `honest`, or a trainer that asks it and sends something else.
std::unique_ptr<Trainer> WithBehaviour(std::unique_ptr<Trainer> honest, Behaviour behaviour);

}  // namespace crowdteach::client
