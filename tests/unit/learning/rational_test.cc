#include "learning/score/rational.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/support/catch.h"

namespace crowdteach::learning {
namespace {

using base::Int128;

base::Hash DigestOf(uint8_t first) {
  base::Hash hash{};
  hash[0] = first;
  return hash;
}

Int128 RandomWide(unsigned bits, std::mt19937_64& random) {
  const auto value = static_cast<base::UInt128>(random()) << 64 | random();
  const auto size = static_cast<Int128>(value >> (128 - bits));
  return random() % 2 == 0 ? size : -size;
}

}  // namespace

TEST_CASE("scores of a round computed by hand") {
  // N = 2, s = k = 0: D/K = 1, 2, 0 halves; v = 10 units; R = 10 - 2^32·3/2 units; E = 4.
  const std::vector<TeacherProducts> teachers = {
      {7, DigestOf(1), 1, 1}, {8, DigestOf(2), 2, 3}, {9, DigestOf(3), 0, 0}};
  const auto phi = FinishScores(teachers, {2, 0, 0, 10});
  REQUIRE(phi.ok());
  const int64_t half = int64_t{1} << 31;
  // 2^31 + (10 - 3·2^31)/4 = 2^29 + 2.5; 2^32 + 3(10 - 3·2^31)/4 = -2^29 + 7.5. The tie between
  // the two halves goes to the smaller digest.
  REQUIRE(*phi == std::vector<int64_t>{half / 4 + 3, -half / 4 + 7, 0});
  const std::vector<TeacherProducts> swapped = {
      {7, DigestOf(2), 1, 1}, {8, DigestOf(1), 2, 3}, {9, DigestOf(3), 0, 0}};
  REQUIRE(*FinishScores(swapped, {2, 0, 0, 10}) ==
          std::vector<int64_t>{half / 4 + 2, -half / 4 + 8, 0});
}

TEST_CASE("scores sum to the value exactly, a zero update scores 0, order changes nothing") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  int recorded = 0;
  for (int repeat = 0; repeat < 3000; ++repeat) {
    RoundScale scale;
    scale.total_weight = 1 + static_cast<uint32_t>(random()) % UINT32_MAX;
    scale.scale_bits = 16 + random() % 15;
    scale.gradient_bits = random() % 61;
    scale.value_q32 = static_cast<int64_t>(random()) >> (11 + random() % 53);
    const unsigned e_bits = 1 + random() % 120;
    const unsigned d_bits = 1 + random() % 124;
    std::vector<TeacherProducts> teachers(1 + random() % 20);
    for (TeacherProducts& teacher : teachers) {
      teacher.account = random();
      for (uint8_t& byte : teacher.update_digest) byte = static_cast<uint8_t>(random());
      if (random() % 5 == 0) continue;  // a zero update
      teacher.d = RandomWide(d_bits, random);
      teacher.e = RandomWide(e_bits, random);
    }
    teachers[0].e += Int128{1} << (e_bits + 5);
    const auto phi = FinishScores(teachers, scale);
    if (!phi.ok()) {
      REQUIRE(phi.status().code() == absl::StatusCode::kOutOfRange);
      continue;
    }
    ++recorded;
    Int128 sum = 0;
    for (const int64_t score : *phi) sum += score;
    REQUIRE(sum == scale.value_q32);
    for (size_t i = 0; i < teachers.size(); ++i) {
      if (teachers[i].d == 0 && teachers[i].e == 0) REQUIRE((*phi)[i] == 0);
    }
    std::vector<size_t> order(teachers.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    std::vector<TeacherProducts> shuffled;
    for (const size_t i : order) shuffled.push_back(teachers[i]);
    const auto again = FinishScores(shuffled, scale);
    for (size_t i = 0; i < order.size(); ++i) REQUIRE((*again)[i] == (*phi)[order[i]]);
  }
  REQUIRE(recorded > 1000);
}

TEST_CASE("splitting a teacher's products changes its total by at most two units") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int repeat = 0; repeat < 2000; ++repeat) {
    const RoundScale scale{1 + random() % 1000, 24, 40, static_cast<int64_t>(random() >> 20)};
    std::vector<TeacherProducts> teachers;
    for (uint8_t i = 0; i < 5; ++i) {
      teachers.push_back({i, DigestOf(static_cast<uint8_t>(random())), RandomWide(90, random),
                          RandomWide(70, random)});
    }
    teachers[1].e = Int128{1} << 75;
    const auto whole = FinishScores(teachers, scale);
    REQUIRE(whole.ok());
    // A huge half and its opposite.
    std::vector<TeacherProducts> split = teachers;
    split.push_back({99, DigestOf(77), RandomWide(92, random), RandomWide(74, random)});
    split[0].d -= split.back().d;
    split[0].e -= split.back().e;
    const auto parts = FinishScores(split, scale);
    REQUIRE(parts.ok());
    REQUIRE(std::abs((*parts)[0] + (*parts)[5] - (*whole)[0]) <= 2);
    for (size_t i = 1; i < 5; ++i) REQUIRE(std::abs((*parts)[i] - (*whole)[i]) <= 1);
  }
}

TEST_CASE("the largest products there can be are computed, and what is beyond 2^62 is refused") {
  const Int128 e = (Int128{1} << 125) - 1;
  const Int128 d = (Int128{1} << 124) - 1;
  const RoundScale scale{UINT32_MAX, 30, 60, (int64_t{1} << 52) - 1};
  // Equal products: equal scores, whatever the remainder.
  const std::vector<TeacherProducts> equal = {{1, DigestOf(1), d, e / 2},
                                              {2, DigestOf(2), d, e / 2}};
  REQUIRE(*FinishScores(equal, scale) ==
          std::vector<int64_t>{int64_t{1} << 51, (int64_t{1} << 51) - 1});
  const std::vector<TeacherProducts> opposite = {{1, DigestOf(1), d, e / 2},
                                                 {2, DigestOf(2), -d, e / 2}};
  REQUIRE(FinishScores(opposite, {1, 16, 0, 0}).status().code() == absl::StatusCode::kOutOfRange);
  REQUIRE(FinishScores(equal, {0, 16, 0, 0}).status().code() == absl::StatusCode::kInvalidArgument);
  const std::vector<TeacherProducts> still = {{1, DigestOf(1), 5, 0}};
  REQUIRE(FinishScores(still, scale).status().code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(FinishScores({}, scale).status().code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace crowdteach::learning
