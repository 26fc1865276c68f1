// The worker against PyTorch, in the sandbox: logits, gradients and optimiser steps of every
// shipped model, and of those of odd_models.h, which have the layers and arguments the shipped ones
// do not use.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "learning/model/export.h"
#include "tests/unit/worker/odd_models.h"
#include "tests/unit/worker/worker_fixture.h"

namespace crowdteach::learning {
namespace {

constexpr uint64_t kExamples = 24;
constexpr uint32_t kBlocks = 5;

struct Case {
  std::string name, optimizer;
  double learning_rate, momentum, weight_decay, mu;
};
const std::vector<Case> kCases = {{"sgd", "sgd", 0.05, 0.9, 0.01, 0},
                                  {"fedprox", "sgd", 0.1, 0, 0, 0.5},
                                  {"adam", "adam", 0.002, 0, 0.001, 0}};

// Adam divides by the gradient's size, so it blows rounding up where the true gradient is 0 (the
// keys' bias in attention, a shift that a BatchNorm takes out); it is none of the layers' business.
const std::vector<Case> kSgdOnly = {kCases[0], kCases[1]};

uint64_t Nano(double value) { return static_cast<uint64_t>(value * 1e9 + 0.5); }

std::string List(const auto& values, double unit) {
  std::string text;
  for (const auto value : values) {
    text += fmt::format("{}{}", text.empty() ? "[" : ", ", static_cast<double>(value) * unit);
  }
  return text + "]";
}

void Prepare(const std::string& folder, const std::string& toml, const v1::DataTerms& terms,
             const std::vector<Case>& all_cases = kCases) {
  Ready worker(toml, terms);
  Check(ExportModel(folder, toml, worker.weights));
  const ExamplesFile examples = RandomExamples(terms, kExamples, 11);
  WriteText(folder + "/examples", std::string(examples.bytes()));
  Value(worker.runner->Evaluate(worker.weights, examples.fd(), folder + "/logits"));
  Value(worker.runner->Gradient(worker.weights, examples.fd(), kBlocks, folder + "/gradient"));
  std::string cases;
  for (const Case& c : all_cases) {
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
            fmt::format(R"({{"shape": [{}], "mean": {}, "deviation": {}, "raw": {}, )"
                        R"("blocks": {}, "cases": [{}]}})",
                        shape, List(terms.mean_nano(), 1e-9), List(terms.deviation_nano(), 1e-9),
                        worker.spec.index_limit != 0, kBlocks, cases));
}

TEST_CASE("logits, gradients and optimiser steps are PyTorch's to 1e-5") {
  if (std::system("/usr/bin/python3 -c 'import torch, tomllib' 2>/dev/null") != 0) {
    WARN("not compared: Debian's python3-torch is not installed");
    return;
  }
  const TemporaryFolder folder;
  std::string command =
      "/usr/bin/python3 " CROWDTEACH_SOURCE_DIR "/tests/unit/worker/torch_reference.py";
  const auto prepare = [&](const std::string& name, const std::string& toml,
                           const v1::DataTerms& terms, const std::vector<Case>& cases) {
    Prepare(folder / name, toml, terms, cases);
    command += " " + (folder / name);
  };
  for (const char* name : {"mlp", "cnn", "resnet", "cnn-batchnorm"}) {
    prepare(name, ExampleModel(name), FashionTerms(), kCases);
  }
  const std::vector<std::string> three = {"a", "b", "c"}, four = {"a", "b", "c", "d"};
  v1::DataTerms odd = SmallModelTerms();
  odd.set_input_shape(1, 9);
  odd.set_input_shape(2, 11);
  odd.add_classes("d");
  prepare("series-conv", ExampleModel("series-conv"), SmallTerms({1, 128}, v1::U8, three), kCases);
  prepare("odd", kOddModel, odd, kCases);
  prepare("norms", kNormsModel, odd, kSgdOnly);
  prepare("series", kSeriesModel, SmallTerms({3, 24}, v1::U8, four), kCases);
  prepare("text", kTextModel, SmallTerms({12}, v1::U8, four), kSgdOnly);
  prepare("attention", kAttentionModel, SmallTerms({30}, v1::U8, four), kSgdOnly);
  command += " 2>&1";

  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  char buffer[512];
  while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) output += buffer;
  INFO(output);
  CHECK(pclose(pipe) == 0);
  for (const char* last : {"odd adam: ", "norms fedprox: ", "attention fedprox: "}) {
    CHECK(output.find(last) != std::string::npos);
  }
}

}  // namespace
}  // namespace crowdteach::learning
