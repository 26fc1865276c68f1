#include "learning/aggregate/norms.h"

#include <algorithm>
#include <vector>

#include "learning/aggregate/kernels.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {

using base::UInt128;

StatusOr<UInt128> NormSquared(const TileSource& values, TileExecutor& executor) {
  std::vector<UInt128> sums(executor.threads());
  std::vector<std::vector<int32_t>> buffers(executor.threads());
  CT_RETURN_IF_ERROR(
      executor.ForEachTile(TilesOf(values.count()), [&](uint64_t tile, unsigned slot) {
        const uint64_t first = tile * kTileValues;
        buffers[slot].resize(std::min(kTileValues, values.count() - first));
        CT_RETURN_IF_ERROR(values.Read(first, buffers[slot]));
        sums[slot] += SumOfSquares(buffers[slot]);
        return OkStatus();
      }));
  UInt128 total = 0;
  for (const UInt128 sum : sums) total += sum;
  return total;
}

uint64_t IntegerSqrt(UInt128 value) {
  uint64_t root = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const uint64_t candidate = root | (uint64_t{1} << bit);
    if (UInt128{candidate} * candidate <= value) root = candidate;
  }
  return root;
}

uint64_t ClipFactor(UInt128 norm_squared, uint64_t norm_cap) {
  CT_ASSERT(norm_cap >= 1);
  if (norm_squared <= UInt128{norm_cap} * norm_cap) return 0;
  const UInt128 factor = (UInt128{norm_cap} << 32) / (UInt128{IntegerSqrt(norm_squared)} + 1);
  return std::max<uint64_t>(1, static_cast<uint64_t>(factor));
}

}  // namespace crowdteach::learning
