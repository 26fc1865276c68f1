#include "learning/data/shards.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learning/data/random.h"
#include "proto/base/bytes.h"
#include "proto/base/digest.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/data_terms.h"

namespace crowdteach::learning {
namespace {

const v1::DataTerms& Terms() {
  static const v1::DataTerms terms = SmallTerms({4}, v1::U8, {"a", "b", "c", "d", "e"});
  return terms;
}

// `count` examples of five classes in turn; the features are the example's number.
ExamplesFile Numbered(uint32_t count) {
  auto writer = ExamplesWriter::InMemory(Terms(), "numbered");
  for (uint32_t i = 0; i < count; ++i) {
    std::string features;
    base::AppendU32(features, i);
    REQUIRE(writer->Append(i % 5, features).ok());
  }
  return *std::move(*writer).Finish();
}

}  // namespace

TEST_CASE("random streams are fixed for ever") {
  // SplitMix64 from the documented start, recomputed here from its definition.
  std::string name = "crowdteach/v1/random\n";
  base::AppendU64(name, 7);
  base::AppendU64(name, 3);
  uint64_t state = base::ReadU64(base::Sha256Of(name + "class").data());
  Random random(7, "class", 3);
  for (int i = 0; i < 5; ++i) {
    state += 0x9E3779B97F4A7C15u;
    uint64_t z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    REQUIRE(random.Next() == (z ^ (z >> 31)));
  }
  REQUIRE(Random(7, "order", 3).Next() != Random(7, "class", 3).Next());
  REQUIRE(Random(8, "class", 3).Next() != Random(7, "class", 3).Next());
}

TEST_CASE("the generator's distributions have their moments") {
  const uint64_t seed = 20240607;
  INFO("seed " << seed);
  Random random(seed, "moments", 0);
  constexpr int kDraws = 100000;
  double uniform = 0;
  double normal = 0;
  double normal_squares = 0;
  std::vector<int> below(7);
  for (int i = 0; i < kDraws; ++i) {
    const double u = random.Uniform();
    REQUIRE((u > 0 && u < 1));
    uniform += u;
    const double x = random.Normal();
    normal += x;
    normal_squares += x * x;
    ++below[random.Below(7)];
  }
  REQUIRE(uniform / kDraws == Approx(0.5).margin(0.005));
  REQUIRE(normal / kDraws == Approx(0).margin(0.015));
  REQUIRE(normal_squares / kDraws == Approx(1).margin(0.02));
  for (const int count : below) REQUIRE(count == Approx(kDraws / 7.0).epsilon(0.05));
  for (const double shape : {0.3, 1.0, 4.5}) {
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double value = std::exp(random.LogGamma(shape));
      sum += value;
      squares += value * value;
    }
    const double mean = sum / kDraws;
    REQUIRE(mean == Approx(shape).epsilon(0.03));                            // shape
    REQUIRE(squares / kDraws - mean * mean == Approx(shape).epsilon(0.06));  // shape too
  }
  for (const double shape : {0.001, 0.5, 1e6}) {
    const std::vector<double> shares = random.Dirichlet(shape, 50);
    REQUIRE(std::accumulate(shares.begin(), shares.end(), 0.0) == Approx(1));
    for (const double share : shares) REQUIRE((share >= 0 && share <= 1));
  }
}

TEST_CASE("shards partition the data, whoever computes them") {
  const ExamplesFile file = Numbered(1003);
  for (const std::optional<double> alpha : {std::optional<double>(), {0.5}, {100.0}}) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      INFO("seed " << seed << " alpha " << alpha.value_or(0));
      std::vector<int> times(file.count());
      for (uint32_t shard = 1; shard <= 6; ++shard) {
        const auto mine = TakeShard(
            file, Terms(), {.shard = shard, .shards = 6, .dirichlet = alpha, .seed = seed});
        REQUIRE(mine.status() == OkStatus());
        for (uint64_t i = 0; i < mine->count(); ++i) {
          const uint32_t number = base::ReadU32(mine->features(i).data());
          ++times[number];
          REQUIRE(mine->label(i) == number % 5);
        }
        if (!alpha) REQUIRE((mine->count() == 167 || mine->count() == 168));
      }
      REQUIRE(times == std::vector<int>(file.count(), 1));
    }
  }
}

TEST_CASE("a small Dirichlet parameter makes classes unequal, a large one does not") {
  const ExamplesFile file = Numbered(5000);
  const auto spread = [&](double alpha) {
    const auto shards = Partition(file, {.shards = 4, .dirichlet = alpha, .seed = 7});
    REQUIRE(shards.ok());
    std::vector<int> counts(5);
    for (const uint64_t place : (*shards)[0]) ++counts[file.label(place)];
    return *std::max_element(counts.begin(), counts.end()) -
           *std::min_element(counts.begin(), counts.end());
  };
  REQUIRE(spread(0.2) > 150);
  REQUIRE(spread(1e6) < 5);
}

TEST_CASE("one seed, one shard; another seed, another") {
  const ExamplesFile file = Numbered(600);
  const ShardOptions options{.shard = 2, .shards = 6, .dirichlet = 0.5, .seed = 7};
  const auto digest = [&](ShardOptions o) {
    const auto shard = TakeShard(file, Terms(), o);
    REQUIRE(shard.status() == OkStatus());
    return base::Sha256Of(shard->bytes());
  };
  REQUIRE(digest(options) == digest(options));
  ShardOptions other = options;
  other.seed = 8;
  REQUIRE(digest(other) != digest(options));
  // A limit keeps a beginning of the same order.
  ShardOptions limited = options;
  limited.limit = 10;
  const auto part = TakeShard(file, Terms(), limited);
  const auto whole = TakeShard(file, Terms(), options);
  REQUIRE(part->count() == 10);
  REQUIRE(part->bytes() == whole->bytes().substr(0, part->bytes().size()));
}

TEST_CASE("label noise replaces the said share by other classes only") {
  const ExamplesFile file = Numbered(20000);
  for (const double noise : {0.0, 0.6, 1.0}) {
    const auto shard = TakeShard(file, Terms(), {.seed = 3, .label_noise = noise});
    REQUIRE(shard.status() == OkStatus());
    int wrong = 0;
    std::vector<int> shifts(5);
    for (uint64_t i = 0; i < shard->count(); ++i) {
      const uint32_t right = base::ReadU32(shard->features(i).data()) % 5;
      wrong += shard->label(i) != right;
      ++shifts[(shard->label(i) + 5 - right) % 5];
    }
    REQUIRE(wrong / 20000.0 == Approx(noise).margin(0.02));
    for (int shift = 1; shift < 5; ++shift) {
      REQUIRE(shifts[shift] / 20000.0 == Approx(noise / 4).margin(0.02));
    }
  }
}

TEST_CASE("shard options out of range, and empty shards, are errors that say the mend") {
  ShardOptions options;
  REQUIRE(ParseShard("2/6", &options).ok());
  REQUIRE(options.shard == 2);
  REQUIRE(options.shards == 6);
  for (const char* bad : {"", "2", "2/", "/6", "0/6", "7/6", "2/6/1", "a/b", "-1/6", "1/99999"}) {
    ShardOptions ignored;
    REQUIRE(ParseShard(bad, &ignored).code() == absl::StatusCode::kInvalidArgument);
  }
  const ExamplesFile file = Numbered(20);
  const auto error = [&](const ShardOptions& o) { return Message(Partition(file, o).status()); };
  REQUIRE(error({.dirichlet = 0.0}).find("--dirichlet 0: must be 0.001 to") == 0);
  REQUIRE(error({.dirichlet = NAN}).find("--dirichlet nan") == 0);
  REQUIRE(error({.label_noise = 1.5}).find("--label-noise 1.5: must be 0 to 1") == 0);
  REQUIRE(error({.shards = 21}) ==
          "numbered: shard 1 of 21 would have none of the 20 examples: use fewer shards, another "
          "--seed or a larger --dirichlet");
}

}  // namespace crowdteach::learning
