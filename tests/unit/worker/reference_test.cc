// The worker against PyTorch: logits, gradients and optimiser steps of every shipped model, and of
// one with the layers and arguments those do not use.
#include <cstdio>
#include <cstdlib>

#include "learning/model/export.h"
#include "tests/unit/worker/worker_fixture.h"

namespace crowdteach::learning {
namespace {

constexpr uint64_t kExamples = 24;
constexpr uint32_t kBlocks = 5;

// What the shipped models leave out.
constexpr const char* kOddModel = R"(
[model]
name = "odd"
input = [3, 9, 11]
[[layer]]
name = "conv"
type = "Conv2d"
in_channels = 3
out_channels = 6
kernel_size = [3, 2]
stride = [2, 1]
padding = [1, 2]
dilation = [1, 2]
groups = 3
[[layer]]
name = "gelu"
type = "GELU"
approximate = "tanh"
[[layer]]
name = "pool"
type = "AvgPool2d"
kernel_size = 3
stride = 2
padding = 1
count_include_pad = false
[[layer]]
name = "pool2"
type = "MaxPool2d"
kernel_size = 3
stride = 2
padding = 1
inputs = ["gelu"]
[[layer]]
name = "both"
type = "Concat"
inputs = ["pool", "pool2"]
[[layer]]
name = "norm"
type = "GroupNorm"
num_groups = 3
num_channels = 12
trainable = false
[[layer]]
name = "erf"
type = "GELU"
[[layer]]
name = "flat"
type = "Flatten"
[[layer]]
name = "drop"
type = "Dropout"
p = 0.0
[[layer]]
name = "out"
type = "Linear"
in_features = 252
out_features = 4
bias = false
)";

struct Case {
  std::string name, optimizer;
  double learning_rate, momentum, weight_decay, mu;
};
const Case kCases[] = {{"sgd", "sgd", 0.05, 0.9, 0.01, 0},
                       {"fedprox", "sgd", 0.1, 0, 0, 0.5},
                       {"adam", "adam", 0.002, 0, 0.001, 0}};

uint64_t Nano(double value) { return static_cast<uint64_t>(value * 1e9 + 0.5); }

std::string List(const auto& values, double unit) {
  std::string text;
  for (const auto value : values) {
    text += fmt::format("{}{}", text.empty() ? "[" : ", ", static_cast<double>(value) * unit);
  }
  return text + "]";
}

void Prepare(const std::string& folder, const std::string& toml, const v1::DataTerms& terms) {
  Ready worker(toml, terms);
  Check(ExportModel(folder, toml, worker.weights));
  const ExamplesFile examples = RandomExamples(terms, kExamples, 11);
  WriteText(folder + "/examples", std::string(examples.bytes()));
  Value(worker.runner->Evaluate(worker.weights, examples.fd(), folder + "/logits"));
  Value(worker.runner->Gradient(worker.weights, examples.fd(), kBlocks, folder + "/gradient"));
  std::string cases;
  for (const Case& c : kCases) {
    v1::LocalTerms local;
    local.set_optimizer(c.optimizer == "adam" ? v1::ADAM : v1::SGD);
    local.set_learning_rate_nano(Nano(c.learning_rate));
    local.set_momentum_nano(Nano(c.momentum));
    local.set_weight_decay_nano(Nano(c.weight_decay));
    local.set_fedprox_mu_nano(Nano(c.mu));
    local.set_batch_size(kExamples);
    local.set_steps(4);
    CHECK(Value(worker.Train(examples, local, 1, folder + "/" + c.name)).finite);
    cases += fmt::format(
        R"({}{{"name": "{}", "optimizer": "{}", "lr": {}, "momentum": {}, "weight_decay": {}, )"
        R"("mu": {}, "steps": 4}})",
        cases.empty() ? "" : ", ", c.name, c.optimizer, c.learning_rate, c.momentum, c.weight_decay,
        c.mu);
  }
  std::string shape;
  for (const uint32_t d : terms.input_shape())
    shape += (shape.empty() ? "" : ", ") + fmt::to_string(d);
  WriteText(folder + "/job.json",
            fmt::format(R"({{"shape": [{}], "mean": {}, "deviation": {}, "blocks": {}, )"
                        R"("cases": [{}]}})",
                        shape, List(terms.mean_nano(), 1e-9), List(terms.deviation_nano(), 1e-9),
                        kBlocks, cases));
}

TEST_CASE("logits, gradients and optimiser steps are PyTorch's to 1e-5") {
  if (std::system("/usr/bin/python3 -c 'import torch, tomllib' 2>/dev/null") != 0) {
    WARN("not compared: Debian's python3-torch is not installed");
    return;
  }
  const TemporaryFolder folder;
  std::string command =
      "/usr/bin/python3 " CROWDTEACH_SOURCE_DIR "/tests/unit/worker/torch_reference.py";
  for (const char* name : {"mlp", "cnn", "resnet"}) {
    Prepare(folder / name, ExampleModel(name), FashionTerms());
    command += " " + (folder / name);
  }
  v1::DataTerms odd = SmallModelTerms();
  odd.set_input_shape(1, 9);
  odd.set_input_shape(2, 11);
  odd.add_classes("d");
  Prepare(folder / "odd", kOddModel, odd);
  command += " " + (folder / "odd") + " 2>&1";

  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  char buffer[512];
  while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) output += buffer;
  INFO(output);
  CHECK(pclose(pipe) == 0);
  CHECK(output.find("odd adam: ") != std::string::npos);
}

}  // namespace
}  // namespace crowdteach::learning
