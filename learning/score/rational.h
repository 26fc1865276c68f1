// Scores in exact integers: from the products D_i, E_i to φ_i in units of 2^-32 nat.
//
// With u_i = m_i·q_i, g = round(G·2^k), V = round(U / N):  D_i = ⟨u_i, g⟩, E_i = ⟨u_i, V⟩,
// E = Σ E_i, v the round's value:
//   φ_i = D_i / (2^k·N·2^s) + R·E_i / E,   R = v - Σ_j D_j / (2^k·N·2^s)
// (the remainder R is spread along the step; Gonzalez's discrete gradient). In units of 2^-32 nat
// every φ_i is rounded down and the units left over go, one each, to the largest non-zero
// fractions, ties to the smaller update digest. The exact φ_i sum to the integer v, so the units
// left over are the sum of the fractions, each below 1: fewer than the non-zero fractions. Hence
//   Σ φ_i = v exactly, and a zero update (D_i = E_i = 0) scores exactly 0.
// Numerators need up to 311 bits; the arithmetic is in 512-bit integers. Pure.
//
// Source: Billera & Heath 1982 and Mirman & Tauman 1982 for the Aumann-Shapley value.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "proto/base/wide.h"

namespace crowdteach::learning {

struct TeacherProducts {
  uint64_t account = 0;
  base::Hash update_digest{};
  base::Int128 d = 0;
  base::Int128 e = 0;
};

struct RoundScale {
  uint64_t total_weight = 0;   // N, 1 to 2^32 - 1
  unsigned scale_bits = 0;     // s <= 30
  unsigned gradient_bits = 0;  // k <= 60
  int64_t value_q32 = 0;       // v = loss before - loss after
};

// |φ| at most this can be recorded.
inline constexpr int64_t kMaxScoreQ32 = int64_t{1} << 62;

// φ_i of each teacher, in the order given.
// kInvalidArgument: E <= 0 (a void step has no scores to compute), or N, s, k out of their range.
// kOutOfRange: some |φ_i| > 2^62; the message names the first such account.
StatusOr<std::vector<int64_t>> FinishScores(std::span<const TeacherProducts> teachers,
                                            const RoundScale& scale);

}  // namespace crowdteach::learning
