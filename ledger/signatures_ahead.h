// Checks the signatures of intents on several threads, before a replay comes to them.
//
// Whether a signature holds depends on key, payload and signature alone, so it may be found out
// early and in any order. Replay still decides in the log's order: it uses a verdict only for the
// key that its own state demands (State::Apply), so the first entry that is wrong is the one
// reported, whatever the threads do. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "ledger/entry.h"
#include "ledger/state.h"
#include "proto/base/digest.h"

namespace crowdteach::ledger {

class SignaturesAhead {
 public:
  // `threads` >= 1, the caller's own included.
  explicit SignaturesAhead(unsigned threads) : threads_(threads) {}

  // The log's next entries, not yet judged: each is checked against the key that GENESIS or the
  // ACCOUNT_OPEN before it named. Returns when all are.
  void Check(std::span<const LoggedEntry* const> entries);

  // The verdict on the intent of `entry`, once; none if its account was not known.
  std::optional<CheckedSignature> Take(const LoggedEntry& entry);

 private:
  unsigned threads_;
  std::map<uint64_t, std::string> keys_;            // by account
  std::map<base::Hash, CheckedSignature> checked_;  // by leaf hash
};

}  // namespace crowdteach::ledger
