// Federated averaging against a naive 128-bit oracle and against Python, for any order and threads.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <random>

#include "learning/aggregate/fedavg.h"
#include "learning/aggregate/norms.h"
#include "learning/fixed_point.h"
#include "tests/support/learning_world.h"

namespace crowdteach::learning {
namespace {

using base::Int128;

struct Plan {
  uint64_t weight;
  uint64_t clip_factor;
  std::vector<int32_t> values;
};

// The page's formulas, one coordinate after the other, all in 128 bits.
struct Oracle {
  std::vector<float> weights;
  std::vector<Int128> e;
};

Oracle Naive(const TestModel& model, const std::vector<float>& base, const std::vector<Plan>& plans,
             unsigned scale_bits) {
  Oracle oracle{base, std::vector<Int128>(plans.size())};
  Int128 total = 0;
  for (const Plan& plan : plans) total += plan.weight;
  size_t k = 0;
  for (const Tensor& tensor : model.format.layout.tensors) {
    if (!tensor.trainable) continue;
    for (uint64_t at = tensor.offset; at < tensor.offset + tensor.count; ++at, ++k) {
      std::vector<Int128> u;
      Int128 sum = 0;
      for (const Plan& plan : plans) {
        Int128 q = plan.values[k];
        if (plan.clip_factor != 0) {
          const Int128 size = ((q < 0 ? -q : q) * plan.clip_factor) >> 32;
          q = q < 0 ? -size : size;
        }
        u.push_back(q * plan.weight);
        sum += u.back();
      }
      Int128 floor = sum / total;
      if (floor * total > sum) --floor;
      const Int128 twice_rest = 2 * (sum - floor * total);
      const bool up = twice_rest > total || (twice_rest == total && floor % 2 != 0);
      const Int128 v = floor + (up ? 1 : 0);
      for (size_t i = 0; i < plans.size(); ++i) oracle.e[i] += u[i] * v;
      const double step = static_cast<double>(static_cast<int64_t>(sum)) /
                          std::ldexp(static_cast<double>(static_cast<uint64_t>(total)),
                                     static_cast<int>(scale_bits));
      oracle.weights[at] = static_cast<float>(static_cast<double>(base[at]) + step);
    }
  }
  return oracle;
}

std::string Python(const TestModel& model, const TestFolder& folder, const std::vector<Plan>& plans,
                   unsigned scale_bits) {
  std::string command =
      fmt::format("python3 {}/scripts/recompute_model.py --base {} --scale-bits {}",
                  CROWDTEACH_SOURCE_DIR, folder.File("base"), scale_bits);
  for (const std::string& name : model.frozen) command += " --frozen " + name;
  for (size_t i = 0; i < plans.size(); ++i) {
    const std::string path = folder.File(fmt::format("update{}", i));
    WriteValues(path, "", plans[i].values);
    command += fmt::format(" --update {},{},{}", path, plans[i].weight, plans[i].clip_factor);
  }
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char line[80] = {};
  REQUIRE(fgets(line, sizeof(line), pipe) != nullptr);
  REQUIRE(pclose(pipe) == 0);
  return std::string(line).substr(0, 64);
}

void CheckModel(const std::vector<int64_t>& sizes, size_t teachers, bool large_weights,
                bool with_python) {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const TestFolder folder;
  const TestModel model(sizes);
  const uint64_t parameters = model.format.layout.trainable;
  const unsigned scale_bits = kMinScaleBits + random() % (kMaxScaleBits - kMinScaleBits + 1);
  const std::vector<float> base = RandomFloats(model.format.layout.total, 0.1, random);
  WriteValues(folder.File("base"), model.header, base);
  std::vector<Plan> plans;
  for (size_t i = 0; i < teachers; ++i) {
    const uint64_t largest = UINT32_MAX / teachers;
    Plan plan{1 + random() % (large_weights ? largest : 50), 0, RandomUpdate(parameters, random)};
    if (random() % 2 == 0) plan.clip_factor = 1 + static_cast<uint32_t>(random()) % UINT32_MAX;
    plans.push_back(std::move(plan));
  }
  const Oracle oracle = Naive(model, base, plans, scale_bits);

  std::vector<TeacherUpdate> updates;
  for (size_t i = 0; i < teachers; ++i) {
    updates.push_back(InMemory(100 + i, plans[i].weight, plans[i].values, plans[i].clip_factor));
  }
  std::optional<base::Hash> digest;
  for (const unsigned threads : {1u, 2u, 5u}) {
    TileExecutor executor(threads);
    std::shuffle(updates.begin(), updates.end(), random);
    const auto set = UpdateSet::Make(updates, parameters);
    REQUIRE(set.ok());
    const auto result = AggregateFedAvg(*set, scale_bits, model.format, folder.File("base"),
                                        folder.File("next"), executor);
    REQUIRE(result.ok());
    REQUIRE_FALSE(result->is_void);
    if (!digest) digest = result->model_digest;
    REQUIRE(result->model_digest == *digest);
    REQUIRE(result->e == oracle.e);
    REQUIRE(result->model_digest ==
            *base::BlobDigestOfFile(base::BlobKind::kWeights, folder.File("next")));
    const std::vector<float> next = model.Weights(folder.File("next"));
    REQUIRE(std::memcmp(next.data(), oracle.weights.data(), 4 * next.size()) == 0);
  }
  if (with_python) REQUIRE(Python(model, folder, plans, scale_bits) == base::Hex(*digest));
}

}  // namespace

TEST_CASE("small models: order and threads change nothing, the oracle agrees") {
  for (int repeat = 0; repeat < 20; ++repeat) {
    CheckModel({3, -2, 1, 4, -7, 2}, 1 + static_cast<size_t>(repeat) % 7, repeat % 2 == 0,
               repeat < 3);
  }
}

TEST_CASE("several tiles, frozen tensors across their borders, and Python agrees") {
  CheckModel({-5, 200000, -1000, 70000, 3, -1, 260000}, 4, false, false);
  CheckModel({262143, -9, 20000}, 3, true, true);
}

TEST_CASE("Python agrees that a step is void") {
  const TestFolder folder;
  const TestModel model({4, -2});
  std::mt19937_64 random(1);
  WriteValues(folder.File("base"), model.header, RandomFloats(6, 1.0, random));
  const std::vector<Plan> plans = {{1, 0, {1, -1, 0, 0}}, {1, 0, {0, 0, 0, 0}}};
  REQUIRE(Python(model, folder, plans, 24) ==
          base::Hex(*base::BlobDigestOfFile(base::BlobKind::kWeights, folder.File("base"))));
}

}  // namespace crowdteach::learning
