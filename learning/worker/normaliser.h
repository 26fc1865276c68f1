// From a record's raw features to the floats a network sees: DataTerms' mean and deviation, one for
// all or one a channel (the first dimension of input_shape). U8: (x / 255 - mean) / deviation;
// FLOAT32: (x - mean) / deviation; in double, rounded once.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

class Normaliser {
 public:
  // kInvalidArgument: feature type, shape, means or deviations are out of range.
  static Status Check(const v1::DataTerms& terms);
  explicit Normaliser(const v1::DataTerms& terms);  // that passed Check

  // raw: the features of one record; out: as many floats.
  void Apply(std::string_view raw, std::span<float> out) const;

 private:
  bool bytes_;
  size_t channel_features_;
  std::vector<double> mean_, deviation_;  // by channel
  std::vector<float> table_;              // U8: channel × 256
};

}  // namespace crowdteach::learning
