// From a record's raw features to the floats a network sees: DataTerms' mean and deviation, one for
// all or one a channel (the first dimension of input_shape). U8: (x / 255 - mean) / deviation;
// FLOAT32: (x - mean) / deviation; in double, rounded once. Indices (of a model whose input goes to
// an Embedding) are taken as they are, U8 too.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

class Normaliser {
 public:
  // index_limit: as in ModelSpec; 0: the features are no indices.
  // kInvalidArgument: feature type, shape, means or deviations are out of range, or are not 0 and 1
  // for indices.
  static Status Check(const v1::DataTerms& terms, uint64_t index_limit);
  Normaliser(const v1::DataTerms& terms, uint64_t index_limit);  // that passed Check

  // raw: the features of one record; out: as many floats. kInvalidArgument: a feature is no index,
  // a whole number below the limit; the message names its position.
  Status Apply(std::string_view raw, std::span<float> out) const;

 private:
  void Normalise(std::string_view raw, std::span<float> out) const;
  void Take(std::string_view raw, std::span<float> out) const;

  bool bytes_;
  uint64_t index_limit_;
  size_t channel_features_;
  std::vector<double> mean_, deviation_;  // by channel
  std::vector<float> table_;              // U8: channel × 256
};

}  // namespace crowdteach::learning
