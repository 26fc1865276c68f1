// What a data set holds, for a person to look at before it is taught with. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/data/examples.h"

namespace crowdteach::learning {

struct ValueRange {
  double least = 0;
  double most = 0;
  double mean = 0;
  double deviation = 0;
};

struct DataSummary {
  uint64_t count = 0;
  std::vector<uint64_t> per_class;  // as many as the terms have
  ValueRange raw;
  ValueRange normalised;  // as the network sees them
  // The same by channel (the first dimension of input_shape), where the terms have a mean or a
  // deviation for each; else empty.
  std::vector<ValueRange> channels;
};

DataSummary Summarise(const ExamplesFile& file, const v1::DataTerms& terms);

// What looks wrong but need not be: classes without an example or with names that are easily taken
// for one another, values that the terms' mean and deviation do not bring near 0 and 1. One line
// each.
std::vector<std::string> Hints(const DataSummary& summary, const v1::DataTerms& terms);

}  // namespace crowdteach::learning
