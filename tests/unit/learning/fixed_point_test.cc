#include "learning/fixed_point.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "proto/base/wide.h"
#include "tests/support/catch.h"

namespace crowdteach::learning {

TEST_CASE("quantising rounds half to even and counts what saturates") {
  const float unit = std::ldexp(1.0f, -16);
  const std::vector<float> base(8, 0.0f);
  const std::vector<float> trained = {0.5f * unit,  1.5f * unit, 2.5f * unit, -0.5f * unit,
                                      -1.5f * unit, 40000.0f,    -40000.0f,   -32768.0f};
  std::vector<int32_t> q(8);
  const auto result = Quantise(trained, base, 16, q);
  REQUIRE(result.ok());
  REQUIRE(q == std::vector<int32_t>{0, 2, 2, 0, -2, INT32_MAX, INT32_MIN, INT32_MIN});
  REQUIRE(result->saturated == 2);
  REQUIRE(result->non_zero == 6);
}

TEST_CASE("a weight that is not finite is an error that names it") {
  std::vector<float> trained(5, 1.0f);
  const std::vector<float> base(5, 0.5f);
  std::vector<int32_t> q(5);
  trained[3] = std::numeric_limits<float>::quiet_NaN();
  trained[4] = std::numeric_limits<float>::infinity();
  const auto result = Quantise(trained, base, 24, q);
  REQUIRE(result.status().code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(Message(result.status()) == "2 of 5 weights are not finite, the first at index 3");
}

TEST_CASE("rounded quotients agree with 128-bit arithmetic") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 50000; ++i) {
    const auto dividend = static_cast<int64_t>(random()) >> (random() % 64);
    const uint64_t divisor = 1 + (static_cast<uint32_t>(random()) >> (random() % 32));
    // 2·|quotient·divisor - dividend| <= divisor, and = only for an even quotient.
    const base::Int128 quotient = RoundedQuotient(dividend, divisor);
    base::Int128 error = quotient * static_cast<base::Int128>(divisor) - dividend;
    if (error < 0) error = -error;
    REQUIRE(2 * error <= static_cast<base::Int128>(divisor));
    if (2 * error == static_cast<base::Int128>(divisor)) REQUIRE(quotient % 2 == 0);
  }
  REQUIRE(RoundedQuotient(INT64_MIN, 1) == INT64_MIN);
  REQUIRE(RoundedQuotient(1, 2) == 0);
  REQUIRE(RoundedQuotient(3, 2) == 2);
  REQUIRE(RoundedQuotient(-1, 2) == 0);
  REQUIRE(RoundedQuotient(-3, 2) == -2);
}

TEST_CASE("losses that can be recorded") {
  REQUIRE(*LossQ32(0.0) == 0);
  REQUIRE(*LossQ32(1.0) == uint64_t{1} << 32);
  REQUIRE(*LossQ32(std::ldexp(1.5, -32)) == 2);  // ties to even
  REQUIRE(*LossQ32(std::ldexp(2.5, -32)) == 2);
  REQUIRE(*LossQ32(1048575.0) == uint64_t{1048575} << 32);
  for (const double bad : {-1e-300, 1048576.0, std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()}) {
    REQUIRE(LossQ32(bad).status().code() == absl::StatusCode::kOutOfRange);
  }
  REQUIRE(FromQ32(int64_t{3} << 31) == 1.5);
}

}  // namespace crowdteach::learning
