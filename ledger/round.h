// Questions about an open round that the rules and the coordinator ask alike: who has committed,
// who is awaited, which updates count, which must be rejected before the first AGGREGATE.
//
// The rules of an open round, by phase (t = time of the entry):
//   commit   UPDATE_COMMIT by selected teachers. ROUND_COMMIT_CLOSE once all have committed, or at
//            t >= CommitDeadlineMs with a quorum; with less than a quorum then, ROUND_ABORT.
//            Under open_commitments this phase is left out: all selected may reveal at once, with
//            any 32-byte salt, and the earliest reveal owns an update that is sent twice.
//   upload   UPDATE_REVEAL; UPDATE_REJECT(SHAPE, NORM) after a reveal; at t >= UploadDeadlineMs
//            UPDATE_REJECT(NO_REVEAL) for each of Awaited; when Awaited is empty
//            UPDATE_REJECT(DUPLICATE) for each of Duplicates; then AGGREGATE(1) over Included, or
//            ROUND_ABORT(REVEAL_QUORUM) when there are too few.
//   aggregated(p)  SCORE(p), or UPDATE_REJECT(DIVERGES, p)…, then AGGREGATE(p+1) or ROUND_ABORT.
//   scored(p)      UPDATE_REJECT(UNCOVERED, p) for each of Uncovered (reward.h) in account order,
//                  then AGGREGATE(p+1) or ROUND_ABORT(COVER_QUORUM); without any, SETTLE.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "ledger/state.h"

namespace crowdteach::ledger {

// From these times on the coordinator may close the phase without those who are missing. A commit
// or reveal that comes later still counts while the phase is open.
uint64_t CommitDeadlineMs(const CampaignState& campaign);
uint64_t UploadDeadlineMs(const CampaignState& campaign);

// Selected teachers who have committed.
size_t Commitments(const RoundState& round);
bool EveryoneCommitted(const RoundState& round);

// By account: whose reveal is still awaited (committed, or selected under open_commitments; neither
// revealed nor rejected).
std::vector<uint64_t> Awaited(const CampaignState& campaign);
// By account: revealed and not rejected. AGGREGATE must list exactly these.
std::vector<uint64_t> Included(const RoundState& round);
// By account: those of Included whose update an earlier commitment of Included owns.
std::vector<uint64_t> Duplicates(const CampaignState& campaign);
// True when a teacher of the current pass's AGGREGATE was rejected since.
bool RejectedSinceAggregate(const RoundState& round);

// The blob digest of an update of `parameters` zeros, without making it.
base::Hash ZeroUpdateDigest(uint64_t parameters);

}  // namespace crowdteach::ledger
