#include "proto/base/weights.h"

#include <algorithm>

namespace crowdteach::base {
namespace {

bool IsAdmissible(std::span<const uint64_t> examples, uint64_t cap) {
  unsigned __int128 sum = 0;
  for (const uint64_t count : examples) sum += std::min(count, cap);
  return static_cast<unsigned __int128>(examples.size()) * cap <= 2 * sum;
}

}  // namespace

std::vector<uint64_t> CappedWeights(std::span<const uint64_t> examples) {
  if (examples.empty()) return {};
  // A cap above the largest count changes nothing, so the search may end there.
  uint64_t admissible = 0;
  uint64_t highest = *std::max_element(examples.begin(), examples.end());
  while (admissible < highest) {
    const uint64_t middle = highest - (highest - admissible) / 2;
    if (IsAdmissible(examples, middle)) {
      admissible = middle;
    } else {
      highest = middle - 1;
    }
  }
  std::vector<uint64_t> weights(examples.begin(), examples.end());
  for (uint64_t& weight : weights) weight = std::min(weight, admissible);
  return weights;
}

}  // namespace crowdteach::base
