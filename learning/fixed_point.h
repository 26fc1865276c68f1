// Real numbers as integers: updates in units of 2^-s, losses in units of 2^-32 nat.
//
// An update is q = round-half-even(Δ·2^s) as int32, s = scale_bits in [16, 30]. A NaN or infinity
// cannot be expressed. Pure functions, the same bits on every machine (IEEE double, no
// contraction).
#pragma once

#include <cstdint>
#include <span>

#include "proto/base/status.h"

namespace crowdteach::learning {

inline constexpr unsigned kMinScaleBits = 16;
inline constexpr unsigned kMaxScaleBits = 30;
inline constexpr uint64_t kMaxParameters = uint64_t{1} << 31;

struct Quantised {
  uint64_t saturated = 0;  // coordinates beyond int32, stored as its nearest end
  uint64_t non_zero = 0;
};

// values[k] = round-half-even((trained[k] - base[k])·2^s), the difference taken in double.
// The three spans have one length.
// kInvalidArgument: a weight is NaN or infinite; the message has the number of them and the first
// index. `values` is then unspecified.
StatusOr<Quantised> Quantise(std::span<const float> trained, std::span<const float> base,
                             unsigned scale_bits, std::span<int32_t> values);

// round-half-even(dividend / divisor), exact. 0 < divisor < 2^63.
int64_t RoundedQuotient(int64_t dividend, uint64_t divisor);

// A loss as the ledger records it: nearest-even(loss·2^32).
// kOutOfRange unless 0 <= loss < 2^20 nats (NaN included).
StatusOr<uint64_t> LossQ32(double loss_nats);

// Units of 2^-32 as a double, for messages and tables.
double FromQ32(int64_t value_q32);

}  // namespace crowdteach::learning
