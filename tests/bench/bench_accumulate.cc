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

// Compiled like the kernel: once more for AVX2, so that the ratio compares like with like.
#if defined(__x86_64__)
__attribute__((target("avx2"))) void AxpyAvx2(float factor, const float* x, float* y) {
  for (uint64_t k = 0; k < kTileValues; ++k) y[k] += factor * x[k];
}
#endif
void Axpy(float factor, const float* x, float* y) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return AxpyAvx2(factor, x, y);
#endif
  for (uint64_t k = 0; k < kTileValues; ++k) y[k] += factor * x[k];
}

void BM_Axpy(benchmark::State& state) {
  std::vector<float> x(kTeachers * kTileValues, 1.5f);
  std::vector<float> y(kTileValues, 0.25f);
  uint64_t teacher = 0;
  for (auto _ : state) {
    Axpy(1e-3f, x.data() + (teacher++ % kTeachers) * kTileValues, y.data());
    benchmark::DoNotOptimize(y.data());
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
