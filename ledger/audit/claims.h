// What the rules accept on an actor's word: no other entry and no rule shows whether it was true.
//
// An auditor must not pass over it in silence: `verify` lists each kind with its entries. What
// artifacts show after all (SHAPE, NORM) is taken off that list there. Thread-safety: pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "ledger/entry.h"
#include "ledger/state.h"

namespace crowdteach::audit {

enum class Claim {
  kMeasured,      // CAMPAIGN_OPEN, SCORE: losses, counts, gradient, standard errors
  kPaid,          // ISSUE: what the credits were brought in for
  kExamples,      // ENROL: how many examples the teacher has
  kNotConnected,  // ROUND_OPEN without a teacher who is enrolled and covered
  kNotCommitted,  // ROUND_COMMIT_CLOSE without a selected teacher; ROUND_ABORT COMMIT_QUORUM
  kNoReveal,      // UPDATE_REJECT …
  kShape,
  kNorm,
  kDiverges,
  kNotFinite,  // ROUND_ABORT …
  kScoreRange,
  kWorkerFailed,
};

// The entries of each kind, ascending.
using Claims = std::map<Claim, std::vector<uint64_t>>;

// What `entry` rests on; none if all it says follows from other entries. `state`: just after it
// applied the entry.
std::optional<Claim> ClaimOf(const ledger::LoggedEntry& entry, const ledger::State& state);

}  // namespace crowdteach::audit
