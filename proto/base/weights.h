// The `examples` weighting: how much each teacher's update counts in the average.
//
// m_i = min(e_i, c), c the largest integer with n·c <= 2·Σ_j min(e_j, c): nobody weighs more than
// twice the mean weight. (A cap on the raw share caps nothing: a zero update claiming 10^9 examples
// would stop training at no cost.) The ledger's state machine and the coordinator both call this.
//
// With n = 1 or n = 2 nobody can exceed twice the mean, so m = e. The set of admissible c is
// [0, c*], as 2·Σ min(e_j, c) - n·c is concave in c and 0 at c = 0; if every e_j >= 1 then c* >= 1.
// If more than half of the counts are 0, c* is 0 and so is every weight: callers require e_j >= 1.
//
// Pure; exact for all inputs (128-bit sums); the order of the result is that of `examples`.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace crowdteach::base {

std::vector<uint64_t> CappedWeights(std::span<const uint64_t> examples);

}  // namespace crowdteach::base
