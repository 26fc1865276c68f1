// From files of block gradients to the integers that are scored.
//
// A *gradient file* is what LossOracle::Gradient writes: blocks × P float32, each block's mean
// gradient; block b holds BlockExamples(b) of the examples. Everything here works through pieces
// of fixed size, adds doubles in one fixed order and never holds a vector.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "learning/aggregate/tile_executor.h"
#include "learning/aggregate/update_set.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "proto/base/wide.h"

namespace crowdteach::learning {

inline constexpr uint64_t kGradientSaltBytes = 32;
inline constexpr unsigned kMaxGradientBits = 60;

// The validation set as the oracle cuts it.
struct Blocks {
  uint64_t examples = 0;
  uint32_t count = 0;

  // Of block b: [b·n/B, (b+1)·n/B).
  uint64_t BlockExamples(uint32_t b) const {
    return (b + 1) * examples / count - b * examples / count;
  }
};

// ⟨q_i, block b's gradient⟩ for every teacher i and block b, at [i·B + b]. In double.
// kInvalidArgument: the file has not blocks × P floats; else the errors of reading.
StatusOr<std::vector<double>> BlockProducts(const UpdateSet& updates, const std::string& path,
                                            const Blocks& blocks, TileExecutor& executor);

struct WeightedGradient {
  std::string path;
  double coefficient = 0;
};

// Writes Σ coefficient·(mean gradient over all examples) as P doubles to `path` and returns the
// largest absolute value. Errors as above, or of writing.
StatusOr<double> WriteMeanGradient(std::span<const WeightedGradient> gradients,
                                   const Blocks& blocks, uint64_t parameters,
                                   const std::string& path, TileExecutor& executor);

// The largest k in [0, 60] with largest·2^k < 2^30 - ½; 0 for largest = 0.
// kOutOfRange: no such k.
StatusOr<unsigned> GradientBits(double largest);

// Reads P doubles from `mean_path` and writes the artifact salt(32) ‖ int32 g (little endian),
// g = round-half-even(G·2^k), synced; returns its blob digest (kGradient).
StatusOr<base::Hash> WriteGradientArtifact(const std::string& mean_path, uint64_t parameters,
                                           unsigned gradient_bits, const std::string& salt,
                                           const std::string& path, TileExecutor& executor);

// D_i = ⟨m_i·q_i, g⟩, exact, in the order of the update set. |g| <= 2^31.
// kInvalidArgument: g has not the updates' size; else the errors of reading.
StatusOr<std::vector<base::Int128>> GradientProducts(const UpdateSet& updates, const TileSource& g,
                                                     TileExecutor& executor);

}  // namespace crowdteach::learning
