#include "learning/aggregate/kernels.h"

#include <algorithm>
#include <limits>

#include "proto/base/assert.h"

// Debian's baseline is SSE2, which has no signed 32x32 -> 64 bit multiply. The same loops are
// compiled once more for AVX2; integers are the same either way, and doubles too, as neither
// contraction nor reassociation is allowed.
#if defined(__x86_64__)
#define CT_AVX2 __attribute__((target("avx2")))
#define CT_INLINE inline __attribute__((always_inline))
#else
#define CT_INLINE inline
#endif

namespace crowdteach::learning {
namespace {

constexpr size_t kLanes = 8;

CT_INLINE void AccumulateLoop(int32_t weight, const int32_t* values, int64_t* sums, size_t count) {
  for (size_t k = 0; k < count; ++k) sums[k] += int64_t{weight} * values[k];
}

struct Halves {
  uint64_t low = 0;  // Σ product mod 2^32
  int64_t high = 0;  // Σ ⌊product / 2^32⌋
};

CT_INLINE Halves DotLoop(const int32_t* a, const int32_t* b, size_t count) {
  constexpr uint64_t kBias = uint64_t{1} << 62;  // products > -2^62: the shift is of unsigned
  uint64_t low = 0;
  uint64_t high = 0;
  for (size_t k = 0; k < count; ++k) {
    const auto product = static_cast<uint64_t>(int64_t{a[k]} * b[k]) + kBias;
    low += product & 0xffffffffu;
    high += product >> 32;
  }
  return {low, static_cast<int64_t>(high) - static_cast<int64_t>(count * (kBias >> 32))};
}

CT_INLINE void DotDoubleLoop(const int32_t* a, const float* b, size_t count, double* sums) {
  for (size_t k = 0; k < count; k += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(a[k + lane]) * static_cast<double>(b[k + lane]);
    }
  }
}

#ifdef CT_AVX2
const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;
CT_AVX2 void AccumulateAvx2(int32_t weight, const int32_t* values, int64_t* sums, size_t count) {
  AccumulateLoop(weight, values, sums, count);
}
CT_AVX2 Halves DotAvx2(const int32_t* a, const int32_t* b, size_t count) {
  return DotLoop(a, b, count);
}
CT_AVX2 void DotDoubleAvx2(const int32_t* a, const float* b, size_t count, double* sums) {
  DotDoubleLoop(a, b, count, sums);
}
#endif

Halves DotHalves(const int32_t* a, const int32_t* b, size_t count) {
#ifdef CT_AVX2
  if (kHasAvx2) return DotAvx2(a, b, count);
#endif
  return DotLoop(a, b, count);
}

}  // namespace

void AccumulateScaled(int64_t weight, std::span<const int32_t> values, std::span<int64_t> sums) {
  constexpr int64_t kMaxWeight = std::numeric_limits<uint32_t>::max();
  CT_ASSERT(weight >= -kMaxWeight && weight <= kMaxWeight && values.size() == sums.size());
  if (weight != static_cast<int32_t>(weight)) {
    for (size_t k = 0; k < values.size(); ++k) sums[k] += weight * values[k];
    return;
  }
  const auto narrow = static_cast<int32_t>(weight);
#ifdef CT_AVX2
  if (kHasAvx2) return AccumulateAvx2(narrow, values.data(), sums.data(), values.size());
#endif
  AccumulateLoop(narrow, values.data(), sums.data(), values.size());
}

base::Int128 Dot(std::span<const int32_t> a, std::span<const int32_t> b) {
  CT_ASSERT(a.size() == b.size() && a.size() < (uint64_t{1} << 31));
  const Halves halves = DotHalves(a.data(), b.data(), a.size());
  return base::Int128{halves.high} * (base::Int128{1} << 32) + halves.low;
}

base::UInt128 SumOfSquares(std::span<const int32_t> values) {
  return static_cast<base::UInt128>(Dot(values, values));
}

double DotDouble(std::span<const int32_t> a, std::span<const float> b) {
  CT_ASSERT(a.size() == b.size());
  double sums[kLanes] = {};
  const size_t whole = a.size() / kLanes * kLanes;
#ifdef CT_AVX2
  if (kHasAvx2) {
    DotDoubleAvx2(a.data(), b.data(), whole, sums);
  } else {
    DotDoubleLoop(a.data(), b.data(), whole, sums);
  }
#else
  DotDoubleLoop(a.data(), b.data(), whole, sums);
#endif
  for (size_t k = whole; k < a.size(); ++k) {
    sums[k - whole] += static_cast<double>(a[k]) * static_cast<double>(b[k]);
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

void Clip(uint64_t factor, std::span<int32_t> values) {
  CT_ASSERT(factor <= std::numeric_limits<uint32_t>::max());
  for (int32_t& value : values) {
    const uint64_t size =
        value < 0 ? -static_cast<uint64_t>(int64_t{value}) : static_cast<uint64_t>(value);
    const auto clipped = static_cast<int64_t>((size * factor) >> 32);
    value = static_cast<int32_t>(value < 0 ? -clipped : clipped);
  }
}

}  // namespace crowdteach::learning
