// Deterministic shards of one data set, and noisy labels, so that a demonstration has unequal, and
// honestly bad, teachers. Every teacher computes its own shard from the same file and seed.
//
// Exactly: random streams are learning/data/random.h's, named by (seed, purpose, number).
// 1. For each class c: its examples in file order, shuffled (Fisher–Yates, stream "class", c).
//    Without `dirichlet` the whole file counts as one class, 0.
// 2. Proportions p_1…p_K over the K shards: without `dirichlet` 1/K each; with it, a draw from
//    Dirichlet(α, …, α) (stream "dirichlet", c), independent for each class; the same for every
//    shard, so the shards partition the data.
// 3. Shard j takes of class c the places ⌊n·(p_1+…+p_{j−1})⌋ up to ⌊n·(p_1+…+p_j)⌋, the last one up
//    to n. (Sums run in that order in double; log, exp and sqrt are the C library's.)
// 4. The shard's examples, in file order, are shuffled (stream "order", shard), and `limit` keeps
// the
//    first so many.
// 5. Label noise p: each label in turn (stream "noise", shard) is replaced with probability p by
// one
//    of the other classes, uniformly.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/data/examples.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

struct ShardOptions {
  uint32_t shard = 1;                 // from 1
  uint32_t shards = 1;                // K, 1-10000
  std::optional<double> dirichlet{};  // α, 0.001-1000000; the smaller, the more unequal
  uint64_t seed = 0;
  double label_noise = 0;  // p, 0-1
  uint64_t limit = 0;      // 0: all
};

// "2/6" into shard and shards. kInvalidArgument.
Status ParseShard(std::string_view text, ShardOptions* options);

// Places in `file` of the examples of shard 1, 2, …, each in file order (steps 1-3).
// kInvalidArgument: an option out of range. kFailedPrecondition: some shard would be empty.
StatusOr<std::vector<std::vector<uint64_t>>> Partition(const ExamplesFile& file,
                                                       const ShardOptions& options);

// The shard's own examples file, in memory. Errors as Partition and ExamplesWriter.
StatusOr<ExamplesFile> TakeShard(const ExamplesFile& file, const v1::DataTerms& terms,
                                 const ShardOptions& options);

}  // namespace crowdteach::learning
