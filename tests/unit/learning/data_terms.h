// Small data terms for tests.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"

namespace crowdteach::learning {

inline v1::DataTerms SmallTerms(std::vector<uint32_t> shape, v1::FeatureType type,
                                std::vector<std::string> classes) {
  v1::DataTerms terms;
  for (const uint32_t dimension : shape) terms.add_input_shape(dimension);
  terms.set_feature_type(type);
  terms.add_mean_nano(0);
  terms.add_deviation_nano(1'000'000'000);
  for (const std::string& name : classes) terms.add_classes(name);
  return terms;
}

}  // namespace crowdteach::learning
