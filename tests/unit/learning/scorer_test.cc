#include <filesystem>

#include "learning/aggregate/norms.h"
#include "learning/score/aumann_shapley.h"
#include "learning/score/rational.h"
#include "learning/score/recompute.h"
#include "learning/score/shadow.h"
#include "tests/support/analytic_oracle.h"

namespace crowdteach::learning {
namespace {

using Kind = AnalyticOracle::Kind;

int64_t Total(const Score& score) {
  int64_t sum = 0;
  for (const TeacherScore& line : score.lines) sum += line.phi_q32;
  return sum;
}

std::vector<TeacherUpdate> Teachers(const ScoringRound& round, size_t count, double deviation,
                                    std::mt19937_64& random) {
  std::vector<TeacherUpdate> teachers;
  for (size_t i = 0; i < count; ++i) {
    teachers.push_back(InMemory(10 + i, 1 + random() % 9, round.Update(deviation, random)));
  }
  return teachers;
}

}  // namespace

TEST_CASE("the Shapley value of known games") {
  // Gloves: one left (player 0), two right; a pair is worth 1.
  const std::vector<double> gloves = {0, 0, 0, 1, 0, 1, 0, 1};
  const std::vector<double> values = ShapleyOfGame(gloves);
  REQUIRE(values[0] == Approx(4.0 / 6));
  REQUIRE(values[1] == Approx(1.0 / 6));
  REQUIRE(values[2] == Approx(1.0 / 6));
  REQUIRE(ShapleyOfGame({3, 5}) == std::vector<double>{2});
}

TEST_CASE("a quadratic loss: the trapezoid is exact, and equals the exact Shapley value") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  ScoringRound round;
  round.Begin(random);
  AnalyticOracle oracle(Kind::kQuadratic, round.model, 101, 8, random);
  auto teachers = Teachers(round, 6, 0.5, random);
  teachers.push_back(InMemory(99, 4, std::vector<int32_t>(20, 0)));
  round.Aggregate(teachers);
  AumannShapley aumann;
  ExactShapley exact;
  const Score a = round.Run(aumann, oracle);
  const Score e = round.Run(exact, oracle);
  REQUIRE(a.verdict == ScoreVerdict::kScored);
  REQUIRE(a.path_nodes == 2);
  REQUIRE(a.value_q32() == Total(a));
  REQUIRE(e.evaluations == 128);
  REQUIRE(e.loss_after_q32 == a.loss_after_q32);
  for (size_t i = 0; i < a.lines.size(); ++i) {
    REQUIRE(FromQ32(a.lines[i].phi_q32) == Approx(FromQ32(e.lines[i].phi_q32)).margin(1e-6));
    if (i < 6) REQUIRE(a.lines[i].stderr_q32 > 0);
  }
  REQUIRE(a.lines[6].account == 99);
  REQUIRE(a.lines[6].phi_q32 == 0);
  REQUIRE(a.lines[6].stderr_q32 == 0);
  REQUIRE(e.lines[6].phi_q32 == 0);
}

TEST_CASE("leave-one-out is the loss without a teacher less the loss with it") {
  std::mt19937_64 random(21);
  ScoringRound round;
  round.Begin(random);
  AnalyticOracle oracle(Kind::kLogistic, round.model, 60, 6, random);
  const auto teachers = Teachers(round, 2, 0.5, random);
  round.Aggregate(teachers);
  LeaveOneOut leave_one_out;
  ExactShapley exact;
  const Score l = round.Run(leave_one_out, oracle);
  const Score e = round.Run(exact, oracle);
  // Of two teachers, φ_1 - φ_2 = v(1) - v(2) = LOO_1 - LOO_2.
  REQUIRE(FromQ32(l.lines[0].phi_q32 - l.lines[1].phi_q32) ==
          Approx(FromQ32(e.lines[0].phi_q32 - e.lines[1].phi_q32)).margin(1e-8));
  REQUIRE(l.evaluations == 3);
  REQUIRE_FALSE(leave_one_out.traits().efficient);
  REQUIRE(Total(e) == Approx(static_cast<double>(e.value_q32())).margin(4));
}

TEST_CASE("a curved step is refined, and the last gradient serves the next round") {
  std::mt19937_64 random(5);
  ScoringRound round;
  round.Begin(random);
  AnalyticOracle oracle(Kind::kLogistic, round.model, 200, 16, random);
  AumannShapley aumann;
  round.Aggregate(Teachers(round, 4, 0.01, random));
  const Score calm = round.Run(aumann, oracle);
  REQUIRE(calm.path_nodes == 2);
  REQUIRE(calm.gradients == 2);

  std::filesystem::copy_file(round.folder.File("next"), round.folder.File("base"),
                             std::filesystem::copy_options::overwrite_existing);
  round.Aggregate(Teachers(round, 4, 0.01, random));
  const Score next = round.Run(aumann, oracle);
  REQUIRE(next.gradients == 1);
  REQUIRE(next.loss_before_q32 == calm.loss_after_q32);
  // A second pass over the same base needs only the new model's.
  round.Aggregate(Teachers(round, 3, 0.01, random));
  REQUIRE(round.Run(aumann, oracle).gradients == 1);

  round.Aggregate(Teachers(round, 4, 40.0, random));
  const Score leap = round.Run(aumann, oracle);
  REQUIRE(leap.path_nodes == 5);
  REQUIRE(leap.gradients == 4);
  REQUIRE(Total(leap) == leap.value_q32());
}

TEST_CASE("a refined scorer leaves no files but the kept gradients, and those go with it") {
  std::mt19937_64 random(6);
  ScoringRound round;
  round.Begin(random);
  AnalyticOracle oracle(Kind::kLogistic, round.model, 50, 5, random);
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(round.folder.path()), {});
  };
  {
    AumannShapley aumann;
    round.Aggregate(Teachers(round, 4, 40.0, random));
    REQUIRE(round.Run(aumann, oracle).path_nodes == 5);
    REQUIRE(files() == 5);  // base, next, g, two gradients
  }
  REQUIRE(files() == 3);
}

TEST_CASE("the artifact is salt and g, and everything is recomputed from it") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  ScoringRound round;
  round.Begin(random);
  AnalyticOracle oracle(Kind::kLogistic, round.model, 64, 16, random);
  RecordedAggregate recorded;
  recorded.scale_bits = round.scale_bits;
  recorded.norm_cap = uint64_t{1} << 24;
  std::vector<TeacherUpdate> teachers;
  for (uint64_t i = 0; i < 5; ++i) {
    const std::string path = round.folder.File(fmt::format("update{}", i));
    WriteValues(path, "", round.Update(i == 2 ? 3.0 : 0.1, random));
    const auto values = *OpenInt32File(path, 20);
    const base::UInt128 norm = *NormSquared(*values, round.executor);
    recorded.updates.push_back({i, *base::BlobDigestOfFile(base::BlobKind::kUpdate, path), 1 + i,
                                ClipFactor(norm, recorded.norm_cap), norm, path});
    teachers.push_back(
        {i, recorded.updates[i].digest, 1 + i, recorded.updates[i].clip_factor, values});
  }
  REQUIRE(recorded.updates[2].clip_factor > 0);
  round.Aggregate(teachers);
  recorded.base_digest =
      *base::BlobDigestOfFile(base::BlobKind::kWeights, round.folder.File("base"));
  recorded.model_digest = round.step.model_digest;
  AumannShapley aumann;
  const Score score = round.Run(aumann, oracle);

  const std::string artifact = ReadBytes(round.folder.File("g"));
  REQUIRE(artifact.size() == 32 + 4 * 20);
  REQUIRE(artifact.substr(0, 32) == std::string(32, 's'));
  REQUIRE(base::BlobDigest(base::BlobKind::kGradient, artifact) == score.gradient_digest);
  std::vector<int32_t> g(20);
  std::memcpy(g.data(), artifact.data() + 32, 80);
  int64_t largest = 0;
  for (const int32_t value : g) largest = std::max(largest, std::abs(int64_t{value}));
  REQUIRE(largest < int64_t{1} << 30);  // and k is the largest such:
  REQUIRE((score.gradient_bits == 60 || largest >= (int64_t{1} << 29) - 1));

  const auto again = RecomputeAggregate(recorded, round.model.format, round.folder.File("base"),
                                        round.folder.File("audit"), round.executor);
  REQUIRE(again.ok());
  const auto d = RecomputeGradientProducts(recorded, 20, score.gradient_digest,
                                           round.folder.File("g"), round.executor);
  REQUIRE(d.ok());
  std::vector<TeacherProducts> products;
  for (size_t i = 0; i < 5; ++i) {
    products.push_back({i, recorded.updates[i].digest, (*d)[i], again->e[i]});
  }
  const auto phi = FinishScores(products, {15, 24, score.gradient_bits, score.value_q32()});
  REQUIRE(phi.ok());
  for (size_t i = 0; i < 5; ++i) {
    REQUIRE(score.lines[i].d == (*d)[i]);
    REQUIRE(score.lines[i].e == again->e[i]);
    REQUIRE(score.lines[i].phi_q32 == (*phi)[i]);
  }

  const auto audit = [&](const RecordedAggregate& other) {
    return Message(RecomputeAggregate(other, round.model.format, round.folder.File("base"),
                                      round.folder.File("audit"), round.executor)
                       .status());
  };
  RecordedAggregate lie = recorded;
  lie.updates[1].norm_squared += 1;
  REQUIRE(audit(lie).find("the squared norm of account 1's update is") == 0);
  lie = recorded;
  lie.updates[2].clip_factor -= 1;
  REQUIRE(audit(lie).find("the clip factor of account 2 is") == 0);
  lie = recorded;
  lie.updates[3].weight += 1;
  REQUIRE(audit(lie).find("the next model is") == 0);
  lie = recorded;
  lie.updates[4].digest[0] ^= 1;
  REQUIRE(audit(lie).find("has the digest") != std::string::npos);
  lie = recorded;
  lie.clips = false;
  REQUIRE(audit(lie).find("should have been rejected") != std::string::npos);
}

TEST_CASE("a void step scores 0 and asks for no gradient") {
  std::mt19937_64 random(8);
  ScoringRound round;
  round.Begin(random);
  AnalyticOracle oracle(Kind::kQuadratic, round.model, 20, 4, random);
  round.Aggregate(
      {InMemory(1, 1, std::vector<int32_t>(20, 0)), InMemory(2, 5, std::vector<int32_t>(20, 0))});
  AumannShapley aumann;
  const Score score = round.Run(aumann, oracle);
  REQUIRE(score.verdict == ScoreVerdict::kVoid);
  REQUIRE(score.value_q32() == 0);
  REQUIRE(score.correct_after == score.correct_before);
  REQUIRE(score.path_nodes == 0);
  REQUIRE(oracle.gradients == 0);
  REQUIRE(score.lines.size() == 2);
  REQUIRE(Total(score) == 0);
}

TEST_CASE("updates that make the loss unusable are named") {
  std::mt19937_64 random(9);
  ScoringRound round;
  round.Begin(random);
  AnalyticOracle oracle(Kind::kLogistic, round.model, 40, 8, random, /*limit=*/5.0);
  auto teachers = Teachers(round, 3, 0.1, random);
  for (TeacherUpdate& teacher : teachers) teacher.weight = 1;
  std::vector<int32_t> bomb(20, 0);
  bomb[7] = int32_t{100} << 24;
  teachers.push_back(InMemory(77, 1, bomb));
  teachers.push_back(InMemory(55, 1, bomb));
  round.Aggregate(teachers);
  AumannShapley aumann;
  const Score score = round.Run(aumann, oracle);
  REQUIRE(score.verdict == ScoreVerdict::kDiverges);
  REQUIRE(score.diverging == std::vector<uint64_t>{55, 77});
  REQUIRE(score.lines.empty());

  // Together over the limit, each alone below it: nobody is to blame.
  std::vector<int32_t> heavy(20, 0);
  heavy[3] = int32_t{8} << 24;
  round.Aggregate({InMemory(1, 1, heavy), InMemory(2, 1, heavy)});
  const Score together = round.Run(aumann, oracle);
  REQUIRE(together.verdict == ScoreVerdict::kNotFinite);
  REQUIRE(together.diverging.empty());
}

TEST_CASE("gradient bits") {
  REQUIRE(*GradientBits(0) == 0);
  REQUIRE(*GradientBits(1e-300) == 60);
  REQUIRE(*GradientBits(1.0) == 29);
  REQUIRE(*GradientBits(std::ldexp(1.0, 30) - 0.51) == 0);
  REQUIRE(GradientBits(std::ldexp(1.0, 30) - 0.5).status().code() == absl::StatusCode::kOutOfRange);
  REQUIRE(GradientBits(std::numeric_limits<double>::infinity()).status().code() ==
          absl::StatusCode::kOutOfRange);
}

}  // namespace crowdteach::learning
