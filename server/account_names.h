// What a new account may be called. The ledger takes any printable name, as it knows accounts by
// their numbers; people read names, so this coordinator admits each of them once.
//
// Thread-safety: a pure function.
#pragma once

#include <string_view>

#include "ledger/state.h"
#include "proto/base/status.h"

namespace crowdteach::server {

// kFailedPrecondition: another account has the name (letters' case aside), it reads as an account's
// number, or it begins or ends with a space; says to choose another.
Status CheckNewName(const ledger::State& state, std::string_view name);

}  // namespace crowdteach::server
