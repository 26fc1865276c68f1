#include <cmath>
#include <random>

#include "learning/aggregate/fedavg.h"
#include "learning/aggregate/kernels.h"
#include "learning/aggregate/norms.h"
#include "learning/fixed_point.h"
#include "tests/support/learning_world.h"

namespace crowdteach::learning {
namespace {

using base::Int128;
using base::UInt128;

}  // namespace

TEST_CASE("kernels agree with 128-bit loops, at the ends of int32 too") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (const size_t count : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{1000}}) {
    const std::vector<int32_t> a = RandomUpdate(count, random);
    const std::vector<int32_t> b = RandomUpdate(count, random);
    Int128 dot = 0;
    Int128 squares = 0;
    for (size_t k = 0; k < count; ++k) {
      dot += Int128{a[k]} * b[k];
      squares += Int128{a[k]} * a[k];
    }
    REQUIRE(Dot(a, b) == dot);
    REQUIRE(SumOfSquares(a) == static_cast<UInt128>(squares));
    for (const int64_t weight :
         {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{INT32_MAX}, int64_t{INT32_MAX} + 1,
          int64_t{UINT32_MAX}, -int64_t{UINT32_MAX}, int64_t{INT32_MIN}}) {
      std::vector<int64_t> sums(count, 5);
      AccumulateScaled(weight, a, sums);
      for (size_t k = 0; k < count; ++k) REQUIRE(sums[k] == 5 + weight * a[k]);
    }
  }
  const std::vector<int32_t> lowest(4096, INT32_MIN);
  REQUIRE(SumOfSquares(lowest) == UInt128{1} << (62 + 12));
}

TEST_CASE("a double product does not depend on what follows in the vector") {
  std::mt19937_64 random(3);
  const std::vector<int32_t> a = RandomUpdate(1003, random);
  const std::vector<float> b = RandomFloats(1003, 1.0, random);
  long double oracle = 0;
  long double size = 0;
  for (size_t k = 0; k < a.size(); ++k) {
    oracle += static_cast<long double>(a[k]) * static_cast<long double>(b[k]);
    size += std::abs(static_cast<long double>(a[k]) * static_cast<long double>(b[k]));
  }
  REQUIRE(std::abs(static_cast<long double>(DotDouble(a, b)) - oracle) < 1e-14L * size);
}

TEST_CASE("integer square roots") {
  REQUIRE(IntegerSqrt(0) == 0);
  REQUIRE(IntegerSqrt(~UInt128{0}) == UINT64_MAX);
  std::mt19937_64 random(5);
  for (int i = 0; i < 2000; ++i) {
    const uint64_t root = random() >> (random() % 64);
    const UInt128 square = UInt128{root} * root;
    REQUIRE(IntegerSqrt(square) == root);
    if (root > 0) REQUIRE(IntegerSqrt(square - 1) == root - 1);
    REQUIRE(IntegerSqrt(square + root) == root);
  }
}

TEST_CASE("a clipped update is within the cap, and one within it is left alone") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  TileExecutor executor(2);
  for (int i = 0; i < 300; ++i) {
    std::vector<int32_t> values = RandomUpdate(1 + random() % 50, random);
    const UInt128 norm = *NormSquared(*MemoryTiles(values), executor);
    const uint64_t cap = 1 + (random() >> (8 + random() % 56));
    const uint64_t factor = ClipFactor(norm, cap);
    if (norm <= UInt128{cap} * cap) {
      REQUIRE(factor == 0);
      continue;
    }
    REQUIRE(factor >= 1);
    const std::vector<int32_t> before = values;
    Clip(factor, values);
    for (size_t k = 0; k < values.size(); ++k) {
      const Int128 size = before[k] < 0 ? -Int128{before[k]} : Int128{before[k]};
      const Int128 clipped = (size * factor) >> 32;
      REQUIRE(values[k] == (before[k] < 0 ? -clipped : clipped));
    }
    REQUIRE(SumOfSquares(values) <= UInt128{cap} * cap);
  }
  // Clipped to nothing is not the same as not clipped.
  REQUIRE(ClipFactor(UInt128{1} << 92, 1) == 1);
  std::vector<int32_t> huge = {INT32_MIN, INT32_MAX};
  Clip(1, huge);
  REQUIRE(huge == std::vector<int32_t>{0, 0});
}

TEST_CASE("an update set refuses what cannot be summed") {
  const auto make = [](std::vector<TeacherUpdate> teachers) {
    return Message(UpdateSet::Make(std::move(teachers), 3).status());
  };
  REQUIRE(make({}) == "there is no update to aggregate");
  REQUIRE(make({InMemory(1, 0, {1, 2, 3})}) ==
          "the weight of account 1 is 0; leave it out instead");
  REQUIRE(make({InMemory(1, 1, {1, 2})}) ==
          "the update of account 1 has 2 values, the model trains 3");
  REQUIRE(make({InMemory(1, 1, {1, 2, 3}), InMemory(1, 1, {1, 2, 4})}) ==
          "account 1 has two updates");
  REQUIRE(make({InMemory(1, UINT32_MAX, {1, 2, 3}), InMemory(2, 1, {1, 2, 4})}) ==
          "the weights sum to 2^32 or more; lower max_examples or teachers");
  REQUIRE(make({InMemory(1, 1, {1, 2, 3}, uint64_t{1} << 32)}) ==
          "the clip factor 4294967296 of account 1 is 2^32 or more");
  REQUIRE(UpdateSet::Make({InMemory(2, UINT32_MAX - 1, {1, 2, 3}), InMemory(1, 1, {1, 2, 3})}, 3)
              ->total_weight() == UINT32_MAX);
}

TEST_CASE("the first failing tile is reported for every number of threads") {
  for (const unsigned threads : {1u, 2u, 5u}) {
    TileExecutor executor(threads);
    for (int repeat = 0; repeat < 50; ++repeat) {
      const Status status = executor.ForEachTile(100, [](uint64_t tile, unsigned) -> Status {
        if (tile == 61) throw std::runtime_error("thrown");
        return tile >= 40 && tile % 7 == 0 ? DataLoss("tile {}", tile) : OkStatus();
      });
      REQUIRE(Message(status) == "tile 42");
      std::vector<int> seen(100);
      // Catch2's macros are of one thread: what others find comes back as a status.
      const Status all = executor.ForEachTile(100, [&](uint64_t tile, unsigned slot) {
        ++seen[tile];
        return slot < threads ? OkStatus() : Internal("slot {} of {}", slot, threads);
      });
      REQUIRE(all == OkStatus());
      REQUIRE(seen == std::vector<int>(100, 1));
    }
  }
}

TEST_CASE("a step that rounds to nothing is void: the next model is the base") {
  const TestFolder folder;
  const TestModel model({5, -3, 4});
  std::mt19937_64 random(11);
  WriteValues(folder.File("base"), model.header, RandomFloats(12, 0.1, random));
  TileExecutor executor(2);
  std::vector<int32_t> tiny(9, 0);
  tiny[4] = 1;  // S/N = 1/2 rounds to the even 0, though w + 1/2 unit would differ
  const auto updates =
      UpdateSet::Make({InMemory(1, 1, tiny), InMemory(2, 1, std::vector<int32_t>(9, 0))}, 9);
  const auto result = AggregateFedAvg(*updates, 16, model.format, folder.File("base"),
                                      folder.File("next"), executor);
  REQUIRE(result.ok());
  REQUIRE(result->is_void);
  REQUIRE(result->e == std::vector<Int128>{0, 0});
  REQUIRE(ReadBytes(folder.File("next")) == ReadBytes(folder.File("base")));
  REQUIRE(result->model_digest ==
          *base::BlobDigestOfFile(base::BlobKind::kWeights, folder.File("base")));
}

TEST_CASE("aggregation tells what it cannot read, and leaves no half model") {
  const TestFolder folder;
  const TestModel model({5});
  TileExecutor executor(1);
  const auto updates = UpdateSet::Make({InMemory(1, 1, {1, 2, 3, 4, 5})}, 5);
  const auto run = [&](const std::string& base) {
    return AggregateFedAvg(*updates, 24, model.format, base, folder.File("next"), executor)
        .status();
  };
  REQUIRE(run(folder.File("none")).code() == absl::StatusCode::kNotFound);
  WriteValues(folder.File("short"), model.header, std::vector<float>(4));
  REQUIRE(run(folder.File("short")).code() == absl::StatusCode::kInvalidArgument);
  REQUIRE_FALSE(std::filesystem::exists(folder.File("next")));

  WriteValues(folder.File("base"), model.header, std::vector<float>(5));
  WriteValues(folder.File("update"), "", std::vector<int32_t>(5));
  TeacherUpdate update = InMemory(1, 1, std::vector<int32_t>(5));
  update.values = *OpenInt32File(folder.File("update"), 5);
  std::filesystem::resize_file(folder.File("update"), 8);
  const auto shrunk = UpdateSet::Make({update}, 5);
  const Status status =
      AggregateFedAvg(*shrunk, 24, model.format, folder.File("base"), folder.File("next"), executor)
          .status();
  REQUIRE(status.code() == absl::StatusCode::kDataLoss);
  REQUIRE_FALSE(std::filesystem::exists(folder.File("next")));
  REQUIRE(OpenInt32File(folder.File("update"), 5).status().code() ==
          absl::StatusCode::kInvalidArgument);
}

}  // namespace crowdteach::learning
