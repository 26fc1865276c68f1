// The inner loops over tiles. Exact integers, or (DotDouble) double in one fixed order, so their
// results are the same with and without vector instructions. Pure; spans of one call have one
// length, below 2^31.
#pragma once

#include <cstdint>
#include <span>

#include "proto/base/wide.h"

namespace crowdteach::learning {

// sums[k] += weight·values[k]. |weight| < 2^32; the caller sees to it that no sum overflows.
void AccumulateScaled(int64_t weight, std::span<const int32_t> values, std::span<int64_t> sums);

// Σ values[k]².
base::UInt128 SumOfSquares(std::span<const int32_t> values);

// Σ a[k]·b[k].
base::Int128 Dot(std::span<const int32_t> a, std::span<const int32_t> b);

// Σ a[k]·b[k] in eight interleaved sums, added up at the end.
double DotDouble(std::span<const int32_t> a, std::span<const float> b);

// values[k] := sign·⌊|values[k]|·factor / 2^32⌋, factor < 2^32: an update scaled down to its cap.
void Clip(uint64_t factor, std::span<int32_t> values);

}  // namespace crowdteach::learning
