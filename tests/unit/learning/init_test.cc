#include "learning/model/init.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "learning/model/safetensors.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/model_files.h"

namespace crowdteach::learning {
namespace {

std::vector<float> FirstWeights(const ModelSpec& spec, uint64_t seed) {
  const TemporaryFolder folder;
  REQUIRE(WriteFirstWeights(folder / "w", spec, seed).ok());
  const Layout layout = LayoutOf(spec);
  const WeightsFile file = Value(WeightsFile::Open(folder / "w", layout));
  REQUIRE(CheckFinite(file, layout).ok());
  std::vector<float> values(layout.total);
  REQUIRE(file.Read(0, values).ok());
  return values;
}

ModelSpec Wide() {
  return Value(ParseModelSpec(R"(
[model]
name = "wide"
input = [600]
[[layer]]
name = "a"
type = "Linear"
in_features = 600
out_features = 500
[[layer]]
name = "n"
type = "GroupNorm"
num_groups = 5
num_channels = 500
[[layer]]
name = "b"
type = "Linear"
in_features = 500
out_features = 2
)"));
}

TEST_CASE("first weights are fixed by the seed, tensor by tensor", "[init]") {
  const ModelSpec mlp = Value(ParseModelSpec(ExampleModel("mlp")));
  const std::vector<float> values = FirstWeights(mlp, 7);
  CHECK(values == FirstWeights(mlp, 7));
  CHECK(values != FirstWeights(mlp, 8));
  // fc1.bias comes first; these values were worked out apart, in Python, from the header's text.
  CHECK(values[0] == -0x1.6854a00000000p-6F);
  CHECK(values[1] == -0x1.05b75c0000000p-6F);
  CHECK(values[63] == -0x1.0d94fe0000000p-5F);
  CHECK(values.back() == 0x1.3883a00000000p-7F);
}

TEST_CASE("first weights have PyTorch's distributions", "[init]") {
  const ModelSpec spec = Wide();
  const Layout layout = LayoutOf(spec);
  const std::vector<float> values = FirstWeights(spec, 1);
  for (const Tensor& tensor : layout.tensors) {
    INFO(tensor.name);
    const std::vector<float> part(
        values.begin() + static_cast<ptrdiff_t>(tensor.offset),
        values.begin() + static_cast<ptrdiff_t>(tensor.offset + tensor.count));
    if (tensor.name[0] == 'n') {
      const float constant = tensor.name == "n.weight" ? 1.0F : 0.0F;
      CHECK(std::all_of(part.begin(), part.end(), [&](float v) { return v == constant; }));
      continue;
    }
    const double bound = 1 / std::sqrt(tensor.name[0] == 'a' ? 600.0 : 500.0);
    double sum = 0, squares = 0, largest = 0;
    for (const float value : part) {
      sum += value;
      squares += double{value} * value;
      largest = std::max(largest, std::abs(double{value}));
    }
    CHECK(largest <= bound * 1.000001);
    if (part.size() < 100) continue;
    const double n = static_cast<double>(part.size());
    // Five standard errors of the mean and of the mean square of U(−b, b).
    CHECK(std::abs(sum / n) < 5 * bound / std::sqrt(3 * n));
    CHECK(std::abs(squares / n - bound * bound / 3) < 5 * bound * bound * 0.2982 / std::sqrt(n));
    CHECK(largest > bound * (1 - 20 / n));
  }
}

// The multilayer perceptron's loss on one random image and label, in nats.
double MlpLoss(const std::vector<float>& w, std::mt19937_64& random) {
  const float* bias1 = w.data();
  const float* weight1 = bias1 + 64;
  const float* bias2 = weight1 + 64 * 784;
  const float* weight2 = bias2 + 10;
  std::normal_distribution<double> normal;
  std::vector<double> image(784), hidden(64), logits(10);
  for (double& pixel : image) pixel = normal(random);
  for (size_t i = 0; i < 64; ++i) {
    hidden[i] = bias1[i];
    for (size_t k = 0; k < 784; ++k) hidden[i] += weight1[784 * i + k] * image[k];
    hidden[i] = std::max(hidden[i], 0.0);
  }
  double sum = 0;
  for (size_t i = 0; i < 10; ++i) {
    logits[i] = bias2[i];
    for (size_t k = 0; k < 64; ++k) logits[i] += weight2[64 * i + k] * hidden[k];
    sum += std::exp(logits[i]);
  }
  return std::log(sum) - logits[random() % 10];
}

TEST_CASE("the loss starts near ln(classes)", "[init]") {
  const std::vector<float> w = FirstWeights(Value(ParseModelSpec(ExampleModel("mlp"))), 3);
  const uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  double loss = 0;
  for (int i = 0; i < 200; ++i) loss += MlpLoss(w, random) / 200;
  CHECK(loss == Approx(std::log(10)).margin(0.15));
}

}  // namespace
}  // namespace crowdteach::learning
