// Random numbers that are the same with every compiler and library (std:: distributions are not).
//
// A stream is SplitMix64 (Steele, Lea, Flood 2014) started at the first 8 bytes, big-endian, of
// SHA-256("crowdteach/v1/random\n" ‖ u64 seed ‖ u64 number ‖ purpose). For simulation and
// shuffling, never for secrets. Not thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace crowdteach::learning {

class Random {
 public:
  Random(uint64_t seed, std::string_view purpose, uint64_t number);

  uint64_t Next();
  // Uniform over 0…bound−1, without bias: draws at or above the largest multiple of `bound` are
  // thrown away. bound >= 1.
  uint64_t Below(uint64_t bound);
  // Uniform in (0, 1): (⌊Next/2^12⌋ + ½)·2^-52.
  double Uniform();
  // Standard normal, Marsaglia's polar method; the second value of a pair is thrown away.
  double Normal();
  // The logarithm of a Gamma(shape, 1) draw, by Marsaglia & Tsang 2000; for shape < 1 that of
  // Gamma(shape + 1) plus log(Uniform)/shape. A logarithm, because draws of small shapes underflow.
  double LogGamma(double shape);
  // Dirichlet(shape, …, shape) of `count` values that sum to 1 but for rounding.
  std::vector<double> Dirichlet(double shape, size_t count);

  // Fisher–Yates: for i = n−1 down to 1, swap places i and Below(i + 1).
  template <typename T>
  void Shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[Below(i)]);
  }

 private:
  uint64_t state_ = 0;
};

}  // namespace crowdteach::learning
