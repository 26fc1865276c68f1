// Where in a bundle a fault lies, once something did not check.
//
// Thread-safety: pure functions. Used by bundle.cc alone.
#pragma once

#include <optional>
#include <string_view>

#include "ledger/bundle.h"

namespace crowdteach::ledger {

// The part of an entry that DecodeEntry refuses: "length", "prev", "time", "intent", "postings" or
// "encoding". `next_is_whole`: the record after it, an entry or the note, is whole, so the length
// before it must be right.
std::string_view PartOfUndecodable(std::string_view bytes, bool next_is_whole);

// What is wrong with the checkpoint note of a bundle whose entries give `computed`; none if it is
// that checkpoint, signed by `log` and by nobody else.
std::optional<BundleFault> FaultOfNote(std::string_view note, const VerifierKey& log,
                                       const Checkpoint& computed);

}  // namespace crowdteach::ledger
