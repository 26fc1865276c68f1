#include "learning/data/shape.h"

#include <fmt/format.h>

#include <algorithm>

namespace crowdteach::learning {
namespace {

std::vector<uint64_t> Wanted(const v1::DataTerms& terms) {
  return {terms.input_shape().begin(), terms.input_shape().end()};
}

std::vector<uint64_t> WithoutOnes(std::vector<uint64_t> shape) {
  shape.erase(std::remove(shape.begin(), shape.end(), uint64_t{1}), shape.end());
  return shape;
}

// Cut off far above any product the terms allow.
uint64_t Product(const std::vector<uint64_t>& shape) {
  constexpr uint64_t kMost = uint64_t{1} << 31;
  uint64_t product = 1;
  for (const uint64_t d : shape) product = std::min(product * std::min(d, kMost), kMost);
  return product;
}

}  // namespace

bool ShapeFits(const std::vector<uint64_t>& shape, const v1::DataTerms& terms) {
  const std::vector<uint64_t> wanted = Wanted(terms);
  if (WithoutOnes(shape) == WithoutOnes(wanted)) return true;
  return wanted.size() == 1 && Product(shape) == wanted[0];
}

std::string BracketedShape(const std::vector<uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string BracketedShape(const v1::DataTerms& terms) { return BracketedShape(Wanted(terms)); }

}  // namespace crowdteach::learning
