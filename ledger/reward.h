// The market rule: what a scored pass pays and charges, in integers.
//
// b credits a nat: a teacher with score phi gets floor(b * phi / 2^32), rounded toward minus
// infinity, both signs: a credit goes escrow -> held; a charge goes held first, then stake, ->
// escrow. So the sum of the rewards never exceeds floor(b * v), and escrow stays at least
// B - floor(b * (L0 - Lt)).
//
// Cover rule: a teacher whose charge exceeds its cover (held + stake), or whose score is below
// -2^62, is *uncovered*. After SCORE(p) all uncovered teachers are rejected at once, in account
// order, each losing its whole cover to the treasury (not to escrow: the owner would gain), and
// AGGREGATE(p+1) goes on without them. Otherwise a pair of identities, one raising the loss with an
// empty deposit and one lowering it again, would drain any budget.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/state.h"
#include "proto/base/status.h"
#include "proto/base/wide.h"

namespace crowdteach::ledger {

using base::Int128;

inline constexpr int64_t kMaxScoreQ32 = int64_t{1} << 62;

// floor(credits_per_nat * phi_q32 / 2^32).
Int128 Reward(uint64_t credits_per_nat, int64_t phi_q32);

// held + stake of a teacher in a campaign: what it can be charged.
int64_t Cover(const State& state, uint64_t campaign, uint64_t account);

// By account: the uncovered teachers of `score` who are not rejected yet, whether or not `score` is
// logged. Empty for an unknown campaign.
std::vector<uint64_t> Uncovered(const State& state, uint64_t campaign, const v1::Score& score);
// The same for the pass that was scored last: empty unless the round is in Phase::kScored.
std::vector<uint64_t> Uncovered(const State& state, uint64_t campaign);

// A score above 2^62, or one that takes a teacher's total beyond +-2^62: once nobody is uncovered
// such a round can only end in ROUND_ABORT(SCORE_RANGE). OK, or kOutOfRange naming the teacher.
Status CheckScoreRange(const CampaignState& campaign, const v1::Score& score);

// What SETTLE posts for `score`, sorted. kFailedPrecondition: somebody is uncovered. kOutOfRange:
// see CheckScoreRange. kNotFound: no such campaign.
StatusOr<std::vector<v1::Posting>> Settlement(const State& state, uint64_t campaign,
                                              const v1::Score& score);

// Splits `pool` >= 0 in proportion to max(0, score), floors first, then one credit each to the
// largest remainders, ties to the lower position. All zeros when no score is positive.
std::vector<int64_t> ShareByScore(int64_t pool, const std::vector<int64_t>& scores_q32);

}  // namespace crowdteach::ledger
