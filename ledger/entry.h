// Entries and intents: decoding with every check that needs no state.
//
// Thread-safety: pure functions and plain values.
#pragma once

#include <string>
#include <string_view>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/signature.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

// An entry as it stands in the log: the bytes that are hashed, and what they say.
struct LoggedEntry {
  std::string bytes;  // canonical v1::Entry
  base::Hash leaf;    // RFC 6962 leaf hash of `bytes`
  v1::Entry entry;
  v1::Intent intent;  // decoded from entry.intent().payload()
};

// kInvalidArgument: too long, not canonical, payload not canonical, no body, a field of a wrong
// length (digests 32, keys 32, signatures 64), a negative or unsorted posting list. Signatures are
// *not* checked here: whose key it must be is the state's to say.
StatusOr<LoggedEntry> DecodeEntry(std::string_view bytes);
StatusOr<v1::Intent> DecodeIntent(std::string_view payload);

// Signs `intent` with the actor's key.
v1::SignedIntent SignIntent(const v1::Intent& intent, const SigningKey& key);

// "CAMPAIGN_OPEN" and so on: the name of the intent's body, for people.
std::string_view BodyName(const v1::Intent& intent);

// SHA-256("crowdteach/v1/commit\n" | genesis | u64 campaign | u32 round | u64 account | digest |
// salt)
base::Hash SealedCommitment(const base::Hash& genesis, uint64_t campaign, uint32_t round,
                            uint64_t account, const base::Hash& update_digest,
                            std::string_view salt);

}  // namespace crowdteach::ledger
