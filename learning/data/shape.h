// Whether what a file holds has the shape of the terms' examples. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"

namespace crowdteach::learning {

// An example of `shape` holds the values of input_shape in the same order: the lists are equal up
// to ones, or input_shape is the flattened one.
bool ShapeFits(const std::vector<uint64_t>& shape, const v1::DataTerms& terms);

// "[1, 28, 28]"
std::string BracketedShape(const std::vector<uint64_t>& shape);
std::string BracketedShape(const v1::DataTerms& terms);

}  // namespace crowdteach::learning
