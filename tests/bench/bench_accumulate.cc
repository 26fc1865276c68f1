// The aggregation kernel beside a plain float axpy: bytes moved a second, on one thread.
//
// Both run over one 1 MiB tile of updates after the other, as aggregation does. Bytes are those the
// loop reads and writes: axpy 4 + 4 + 4 a value, accumulate 4 (int32) + 8 + 8 (int64 sums).
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "learning/aggregate/kernels.h"
#include "learning/aggregate/tile_source.h"

namespace crowdteach::learning {
namespace {

constexpr uint64_t kTeachers = 16;  // tiles in turn, so that updates come from beyond the caches

void BM_Axpy(benchmark::State& state) {
  std::vector<float> x(kTeachers * kTileValues, 1.5f);
  std::vector<float> y(kTileValues, 0.25f);
  uint64_t teacher = 0;
  for (auto _ : state) {
    const float* const from = x.data() + (teacher++ % kTeachers) * kTileValues;
    float* const to = y.data();
    const float factor = 1e-3f;
    for (uint64_t k = 0; k < kTileValues; ++k) to[k] += factor * from[k];
    benchmark::DoNotOptimize(to);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kTileValues * 12));
}
BENCHMARK(BM_Axpy);

void BM_Accumulate(benchmark::State& state) {
  std::vector<int32_t> q(kTeachers * kTileValues);
  for (size_t k = 0; k < q.size(); ++k) q[k] = static_cast<int32_t>(k * 2654435761u);
  std::vector<int64_t> sums(kTileValues);
  uint64_t teacher = 0;
  for (auto _ : state) {
    AccumulateScaled(600, {q.data() + (teacher++ % kTeachers) * kTileValues, kTileValues}, sums);
    benchmark::DoNotOptimize(sums.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kTileValues * 20));
}
BENCHMARK(BM_Accumulate);

}  // namespace
}  // namespace crowdteach::learning

BENCHMARK_MAIN();
