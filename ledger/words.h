// What the ledger's enums are called for people. Pure.
#pragma once

#include <string>
#include <string_view>

#include "crowdteach/v1/ledger.pb.h"

namespace crowdteach::ledger {

// An enum's name in small letters: NO_REVEAL becomes "no reveal".
std::string LowerCase(std::string name);

std::string InWords(v1::RejectReason reason);  // "no reveal"
// "committed, but not there by the deadline": what is wrong with the update.
std::string_view WhyRejected(v1::RejectReason reason);
std::string_view InWords(v1::AbortReason reason);  // "too few teachers committed in time"
std::string_view InWords(v1::Readers readers);     // "auditors and the owner"

}  // namespace crowdteach::ledger
