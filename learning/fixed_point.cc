#include "learning/fixed_point.h"

#include <cmath>
#include <limits>

#include "proto/base/assert.h"

namespace crowdteach::learning {

StatusOr<Quantised> Quantise(std::span<const float> trained, std::span<const float> base,
                             unsigned scale_bits, std::span<int32_t> values) {
  CT_ASSERT(trained.size() == base.size() && values.size() == base.size());
  CT_ASSERT(scale_bits >= kMinScaleBits && scale_bits <= kMaxScaleBits);
  constexpr double kLowest = std::numeric_limits<int32_t>::min();
  constexpr double kHighest = std::numeric_limits<int32_t>::max();
  const double scale = std::ldexp(1.0, static_cast<int>(scale_bits));
  Quantised result;
  uint64_t bad = 0;
  size_t first_bad = 0;
  for (size_t k = 0; k < values.size(); ++k) {
    const double change = static_cast<double>(trained[k]) - static_cast<double>(base[k]);
    if (!std::isfinite(change)) {
      if (bad++ == 0) first_bad = k;
      continue;
    }
    double rounded = std::nearbyint(change * scale);
    if (rounded < kLowest || rounded > kHighest) {
      rounded = rounded < 0 ? kLowest : kHighest;
      ++result.saturated;
    }
    values[k] = static_cast<int32_t>(rounded);
    result.non_zero += values[k] != 0;
  }
  if (bad > 0) {
    return InvalidArgument("{} of {} weights are not finite, the first at index {}", bad,
                           values.size(), first_bad);
  }
  return result;
}

int64_t RoundedQuotient(int64_t dividend, uint64_t divisor) {
  const auto n = static_cast<int64_t>(divisor);
  int64_t quotient = dividend / n;
  int64_t rest = dividend % n;
  if (rest < 0) {
    rest += n;
    --quotient;
  }
  const int64_t to_next = n - rest;
  return quotient + ((rest > to_next || (rest == to_next && (quotient & 1) != 0)) ? 1 : 0);
}

StatusOr<uint64_t> LossQ32(double loss_nats) {
  if (!(loss_nats >= 0 && loss_nats < 1048576.0)) {
    return OutOfRange("a loss of {} nats cannot be recorded (0 <= loss < 2^20)", loss_nats);
  }
  return static_cast<uint64_t>(std::nearbyint(std::ldexp(loss_nats, 32)));
}

double FromQ32(int64_t value_q32) { return std::ldexp(static_cast<double>(value_q32), -32); }

}  // namespace crowdteach::learning
