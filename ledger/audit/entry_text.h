// An entry in words, for people. Thread-safety: pure functions.
#pragma once

#include <string>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/entry.h"

namespace crowdteach::audit {

// Several lines: number, what, who, when (UTC), the body's fields (digests in hex), the postings.
std::string EntryText(const ledger::LoggedEntry& entry);

// "escrow/12", "held/12/9".
std::string BalanceName(const v1::Posting& posting);

}  // namespace crowdteach::audit
