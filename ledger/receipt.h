// Receipts: an entry with the proof that it is in the log, checkable offline (C2SP tlog-proof).
//
//   c2sp.org/tlog-proof@v1
//   extra <base64 of the entry>
//   index <decimal>
//   <base64 of an inclusion hash>     none or more, lowest first
//   <empty line>
//   <signed checkpoint>
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/checkpoint.h"
#include "ledger/entry.h"
#include "ledger/note.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

struct ReceiptParts {
  std::string entry;  // bytes as logged
  uint64_t index = 0;
  std::vector<base::Hash> proof;
  std::string checkpoint;  // a signed note
};

std::string FormatReceipt(const ReceiptParts& parts);
// kInvalidArgument, naming the line. Format of the parse gives the same bytes.
StatusOr<ReceiptParts> ParseReceipt(std::string_view text);

struct VerifiedReceipt {
  LoggedEntry entry;
  Checkpoint checkpoint;
};

// Checks everything a receipt can show: the checkpoint is signed by `log`, the entry is canonical,
// says the index it is at, and is in the tree. Whether its signer may say so only replay shows.
// kInvalidArgument: malformed or not proven; kUnauthenticated: not signed by `log`.
StatusOr<VerifiedReceipt> VerifyReceipt(std::string_view text, const VerifierKey& log);

}  // namespace crowdteach::ledger
