// The rules a ledger follows (RULES.md) have a version, which its first entry names. A program that
// does not know it says so, before it calls anything in that ledger false.
//
// Thread-safety: pure functions.
#pragma once

#include <string_view>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/note.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

// kFailedPrecondition: this program does not know the rules that `genesis` names; the message says
// to upgrade `program`.
Status CheckRulesVersion(const v1::Genesis& genesis, std::string_view program);

// The same of the bytes of entry 0, even if this program cannot read the rest of them. OK also if
// they are not the GENESIS of `log`, or not signed by the operator key they name.
Status CheckRulesOfFirstEntry(std::string_view bytes, const VerifierKey& log,
                              std::string_view program);

}  // namespace crowdteach::ledger
