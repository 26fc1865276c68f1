// Who teaches in a round: candidates, seed, draw and integer weights, all from recorded state.
//
//   seed(t) = SHA-256("crowdteach/v1/select\n" | u64 campaign | u32 t | salts of round t-1 by
//   account) drawn   = the first `teachers` candidates by SHA-256(seed | u64 account), listed by
//   account m_i     = 1 (EQUAL) or min(e_i, c), nobody above twice the mean (EXAMPLES;
//   proto/base/weights.h)
//
// The salts are those logged in round t-1, settled or aborted; none for t = 1. That a candidate was
// connected cannot be proved, so the candidates are the coordinator's claim; the rest is recomputed
// in replay. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/state.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

// By account: those of `connected` (any order) who are enrolled and whose held + stake is at least
// min_cover. Empty for an unknown campaign.
std::vector<uint64_t> CandidatesOf(const State& state, uint64_t campaign,
                                   std::vector<uint64_t> connected);

// The ROUND_OPEN of the campaign's next round over these candidates, complete: round number, base
// digest, seed, selected, weights. kNotFound: no such campaign. kFailedPrecondition: fewer
// candidates than the quorum. Phases are not checked here but in State::Postings.
StatusOr<v1::RoundOpen> Select(const State& state, uint64_t campaign,
                               const std::vector<uint64_t>& candidates);

base::Hash SelectionSeed(uint64_t campaign, uint32_t round, const std::vector<std::string>& salts);

}  // namespace crowdteach::ledger
