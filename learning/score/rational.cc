#include "learning/score/rational.h"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <numeric>

#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

using Int512 = boost::multiprecision::int512_t;

// Via halves: conversions from the compiler's own 128-bit type depend on its language mode.
Int512 Widen(base::Int128 value) {
  const auto high = static_cast<int64_t>(value >> 64);
  const auto low = static_cast<uint64_t>(value);
  return Int512(high) * (Int512(1) << 64) + Int512(low);
}

Status CheckScale(const RoundScale& scale) {
  if (scale.total_weight == 0 || scale.total_weight > 0xffffffffu || scale.scale_bits > 30 ||
      scale.gradient_bits > 60) {
    return InvalidArgument("N = {}, s = {}, k = {}: beyond 1..2^32-1, 0..30, 0..60",
                           scale.total_weight, scale.scale_bits, scale.gradient_bits);
  }
  return OkStatus();
}

// A number of units: floor and remainder of a division by one common denominator.
struct Share {
  Int512 floor;
  Int512 rest;  // 0 <= rest < denominator
};

Share Divide(const Int512& numerator, const Int512& denominator) {
  Share share;
  divide_qr(numerator, denominator, share.floor, share.rest);
  if (share.rest < 0) {
    share.rest += denominator;
    --share.floor;
  }
  return share;
}

}  // namespace

StatusOr<std::vector<int64_t>> FinishScores(std::span<const TeacherProducts> teachers,
                                            const RoundScale& scale) {
  CT_RETURN_IF_ERROR(CheckScale(scale));
  Int512 sum_d = 0;
  Int512 sum_e = 0;
  for (const TeacherProducts& teacher : teachers) {
    sum_d += Widen(teacher.d);
    sum_e += Widen(teacher.e);
  }
  if (sum_e <= 0)
    return InvalidArgument("the products with the step sum to {}, not above 0", sum_e.str());

  // φ_i in units: (2^32·D_i·E + (v·K - 2^32·ΣD)·E_i) / (K·E), K = 2^k·N·2^s.
  const Int512 k_scale = Int512(scale.total_weight) << (scale.gradient_bits + scale.scale_bits);
  const Int512 remainder = Int512(scale.value_q32) * k_scale - sum_d * (Int512(1) << 32);
  const Int512 denominator = k_scale * sum_e;
  std::vector<Share> shares;
  Int512 left_over = scale.value_q32;
  for (const TeacherProducts& teacher : teachers) {
    shares.push_back(Divide(
        Widen(teacher.d) * (Int512(1) << 32) * sum_e + remainder * Widen(teacher.e), denominator));
    left_over -= shares.back().floor;
  }

  std::vector<size_t> order(teachers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (shares[a].rest != shares[b].rest) return shares[a].rest > shares[b].rest;
    if (teachers[a].update_digest != teachers[b].update_digest) {
      return teachers[a].update_digest < teachers[b].update_digest;
    }
    return teachers[a].account < teachers[b].account;
  });
  for (const size_t i : order) {
    if (left_over == 0) break;
    CT_ASSERT(left_over > 0 && shares[i].rest != 0);
    ++shares[i].floor;
    --left_over;
  }
  CT_ASSERT(left_over == 0);

  std::vector<int64_t> scores;
  for (size_t i = 0; i < teachers.size(); ++i) {
    if (abs(shares[i].floor) > kMaxScoreQ32) {
      return OutOfRange("the score of account {} is {} units of 2^-32 nat, beyond 2^62",
                        teachers[i].account, shares[i].floor.str());
    }
    scores.push_back(static_cast<int64_t>(shares[i].floor));
  }
  return scores;
}

}  // namespace crowdteach::learning
