#include "learning/data/random.h"

#include <algorithm>
#include <cmath>

#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/base/digest.h"

namespace crowdteach::learning {

Random::Random(uint64_t seed, std::string_view purpose, uint64_t number) {
  std::string name = "crowdteach/v1/random\n";
  base::AppendU64(name, seed);
  base::AppendU64(name, number);
  name += purpose;
  state_ = base::ReadU64(base::Sha256Of(name).data());
}

uint64_t Random::Next() {
  uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint64_t Random::Below(uint64_t bound) {
  CT_ASSERT(bound >= 1);
  // 2^64 mod bound values at the top would make some results likelier.
  const uint64_t spare = (0 - bound) % bound;
  for (;;) {
    const uint64_t draw = Next();
    if (draw <= UINT64_MAX - spare) return draw % bound;
  }
}

double Random::Uniform() { return (static_cast<double>(Next() >> 12) + 0.5) * 0x1p-52; }

double Random::Normal() {
  for (;;) {
    const double x = 2 * Uniform() - 1;
    const double y = 2 * Uniform() - 1;
    const double square = x * x + y * y;
    if (square < 1 && square > 0) return x * std::sqrt(-2 * std::log(square) / square);
  }
}

double Random::LogGamma(double shape) {
  CT_ASSERT(shape > 0);
  if (shape < 1) {
    const double above = LogGamma(shape + 1);
    return above + std::log(Uniform()) / shape;
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = Normal();
    const double t = 1 + c * x;
    if (t <= 0) continue;
    const double v = t * t * t;
    if (std::log(Uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) {
      return std::log(d) + std::log(v);
    }
  }
}

std::vector<double> Random::Dirichlet(double shape, size_t count) {
  CT_ASSERT(count >= 1);
  std::vector<double> values(count);
  for (double& value : values) value = LogGamma(shape);
  const double most = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - most);
  for (double& value : values) value /= sum;
  return values;
}

}  // namespace crowdteach::learning
