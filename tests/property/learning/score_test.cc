// Scores of whole rounds on analytic models: efficiency, zero, splits, order and threads.
#include <algorithm>

#include "learning/score/aumann_shapley.h"
#include "tests/support/analytic_oracle.h"

namespace crowdteach::learning {
namespace {

struct World {
  ScoringRound round;
  std::optional<AnalyticOracle> oracle;
  std::vector<TeacherUpdate> teachers;
  std::vector<std::vector<int32_t>> values;

  explicit World(std::mt19937_64& random) {
    round.Begin(random);
    const auto kind =
        random() % 2 == 0 ? AnalyticOracle::Kind::kQuadratic : AnalyticOracle::Kind::kLogistic;
    const uint64_t examples = 20 + random() % 80;
    oracle.emplace(kind, round.model, examples, 1 + random() % 20, random);
    const double deviation = std::exp(-8.0 + static_cast<double>(random() % 10));
    for (uint64_t i = 0; i < 2 + random() % 6; ++i) {
      values.push_back(random() % 5 == 0 ? std::vector<int32_t>(20, 0)
                                         : round.Update(deviation, random));
      teachers.push_back(InMemory(100 + i, 1 + random() % 30, values.back()));
    }
    values[0] = round.Update(deviation, random);
    teachers[0] = InMemory(100, 7, values[0]);
  }

  Score Run() {
    round.Aggregate(teachers);
    AumannShapley scorer;
    return round.Run(scorer, *oracle);
  }
};

}  // namespace

TEST_CASE("scores sum to the value, zero updates earn 0, arrival order changes nothing") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int repeat = 0; repeat < 40; ++repeat) {
    World world(random);
    const Score score = world.Run();
    REQUIRE(score.verdict == ScoreVerdict::kScored);
    int64_t sum = 0;
    for (size_t i = 0; i < score.lines.size(); ++i) {
      sum += score.lines[i].phi_q32;
      const bool zero = std::count(world.values[i].begin(), world.values[i].end(), 0) == 20;
      if (zero) REQUIRE(score.lines[i].phi_q32 == 0);
    }
    REQUIRE(sum == score.value_q32());
    std::shuffle(world.teachers.begin(), world.teachers.end(), random);
    const Score again = world.Run();
    REQUIRE(again.gradient_digest == score.gradient_digest);
    for (size_t i = 0; i < score.lines.size(); ++i) {
      REQUIRE(again.lines[i].phi_q32 == score.lines[i].phi_q32);
      REQUIRE(again.lines[i].stderr_q32 == score.lines[i].stderr_q32);
    }
  }
}

TEST_CASE("an adversarial split A + (u - A) keeps the model and the total") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int repeat = 0; repeat < 30; ++repeat) {
    World world(random);
    // The two identities weigh 7 each; in the unsplit round the second sends a zero update, so N
    // is the same.
    std::vector<int32_t> half(20);
    std::vector<int32_t> rest(20);
    for (size_t k = 0; k < 20; ++k) {
      half[k] = static_cast<int32_t>(random()) / 4;
      rest[k] = world.values[0][k] - half[k];
    }
    world.teachers.push_back(InMemory(999, 7, std::vector<int32_t>(20, 0)));
    const Score before = world.Run();
    const base::Hash model = world.round.step.model_digest;
    world.teachers[0] = InMemory(100, 7, half);
    world.teachers.back() = InMemory(999, 7, rest);
    const Score after = world.Run();
    REQUIRE(world.round.step.model_digest == model);
    REQUIRE(after.value_q32() == before.value_q32());
    REQUIRE(after.path_nodes == before.path_nodes);
    const size_t last = before.lines.size() - 1;
    REQUIRE(before.lines[last].phi_q32 == 0);
    REQUIRE(std::abs(after.lines[0].phi_q32 + after.lines[last].phi_q32 -
                     before.lines[0].phi_q32) <= 2);
    for (size_t i = 1; i < last; ++i) {
      REQUIRE(std::abs(after.lines[i].phi_q32 - before.lines[i].phi_q32) <= 1);
    }
  }
}

TEST_CASE("the jackknife's error covers the spread over fresh validation sets") {
  std::mt19937_64 random(17);
  ScoringRound round;
  round.Begin(random);
  round.Aggregate(
      {InMemory(1, 1, round.Update(0.3, random)), InMemory(2, 1, round.Update(0.3, random))});
  // One population, cut into 60 validation sets of 80 examples: their scores' spread is what a
  // standard error estimates.
  std::vector<double> scores;
  double mean_error = 0;
  const std::mt19937_64 truth = random;
  for (int sample = 0; sample < 60; ++sample) {
    std::mt19937_64 source = truth;  // the same hidden weights
    AnalyticOracle oracle(AnalyticOracle::Kind::kLogistic, round.model, 80, 16, source, 1e30,
                          static_cast<uint64_t>(sample));
    AumannShapley scorer;
    const Score score = round.Run(scorer, oracle);
    scores.push_back(FromQ32(score.lines[0].phi_q32));
    mean_error += FromQ32(static_cast<int64_t>(score.lines[0].stderr_q32)) / 60;
  }
  double mean = 0;
  for (const double score : scores) mean += score / 60;
  double variance = 0;
  for (const double score : scores) variance += (score - mean) * (score - mean) / 59;
  REQUIRE(mean_error > 0.6 * std::sqrt(variance));
  REQUIRE(mean_error < 1.6 * std::sqrt(variance));
}

}  // namespace crowdteach::learning
