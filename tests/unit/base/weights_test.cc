#include "proto/base/weights.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/support/catch.h"

namespace crowdteach::base {
namespace {

using Counts = std::vector<uint64_t>;

// The rule as it stands on the page: try every cap.
Counts ByTrying(const Counts& examples) {
  const uint64_t n = examples.size();
  uint64_t largest = 0;
  for (uint64_t cap = 0; cap <= 2 * *std::max_element(examples.begin(), examples.end()); ++cap) {
    uint64_t sum = 0;
    for (const uint64_t e : examples) sum += std::min(e, cap);
    if (n * cap <= 2 * sum) largest = cap;
  }
  Counts weights = examples;
  for (uint64_t& weight : weights) weight = std::min(weight, largest);
  return weights;
}

}  // namespace

TEST_CASE("one or two teachers weigh what they claim") {
  REQUIRE(CappedWeights({}).empty());
  REQUIRE(CappedWeights(Counts{7}) == Counts{7});
  REQUIRE(CappedWeights(Counts{1, 1000000}) == Counts{1, 1000000});
}

TEST_CASE("a huge claim is cut to twice the mean weight") {
  REQUIRE(CappedWeights(Counts{10, 10, 10, 1000000000}) == Counts{10, 10, 10, 30});
  REQUIRE(CappedWeights(Counts{1, 1, 1, UINT64_MAX, UINT64_MAX}) == Counts{1, 1, 1, 6, 6});
  REQUIRE(CappedWeights(Counts(5, UINT64_MAX)) == Counts(5, UINT64_MAX));
}

TEST_CASE("capped weights agree with trying every cap") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 500; ++i) {
    Counts examples(1 + random() % 12);
    for (uint64_t& e : examples) e = 1 + random() % (random() % 4 == 0 ? 2000 : 20);
    const Counts weights = CappedWeights(examples);
    REQUIRE(weights == ByTrying(examples));
    const uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    for (const uint64_t weight : weights) {
      REQUIRE(weight >= 1);
      REQUIRE(weight * weights.size() <= 2 * sum);
    }
  }
}

}  // namespace crowdteach::base
