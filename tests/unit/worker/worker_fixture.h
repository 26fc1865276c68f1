// What the worker's tests share: a spawned worker, models, data, files.
#pragma once

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "learning/data/examples.h"
#include "learning/data/readers.h"
#include "learning/model/init.h"
#include "learning/model/safetensors.h"
#include "learning/model_runner.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/learning/data_terms.h"
#include "tests/unit/learning/model_files.h"

namespace crowdteach::learning {

using crowdteach::testing::Refused;

inline const std::string kWorker = std::string(CROWDTEACH_BIN_DIR) + "/crowdteach-worker";

inline RunnerOptions WorkerOptions() {
  RunnerOptions options;
  options.worker_path = kWorker;
  return options;
}

inline void Check(const Status& status) {
  INFO(status.ToString());
  REQUIRE(status.ok());
}

// 12 bytes in, 3 classes out; the first layer can be frozen.
inline std::string SmallModel(bool frozen) {
  return std::string("[model]\nname = \"small\"\ninput = [3, 2, 2]\n") +
         "[[layer]]\nname = \"flat\"\ntype = \"Flatten\"\n" +
         "[[layer]]\nname = \"a\"\ntype = \"Linear\"\nin_features = 12\nout_features = 16\n" +
         (frozen ? "trainable = false\n" : "") + "[[layer]]\nname = \"tanh\"\ntype = \"Tanh\"\n" +
         "[[layer]]\nname = \"b\"\ntype = \"Linear\"\nin_features = 16\nout_features = 3\n";
}

inline v1::DataTerms SmallModelTerms() {
  v1::DataTerms terms = SmallTerms({3, 2, 2}, v1::U8, {"a", "b", "c"});
  terms.clear_mean_nano();
  terms.clear_deviation_nano();
  for (const int64_t mean : {400'000'000, 500'000'000, 600'000'000}) terms.add_mean_nano(mean);
  terms.add_deviation_nano(300'000'000);
  return terms;
}

inline v1::DataTerms FashionTerms() {
  v1::DataTerms terms =
      SmallTerms({1, 28, 28}, v1::U8, {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
  terms.set_mean_nano(0, 286'000'000);
  terms.set_deviation_nano(0, 353'000'000);
  return terms;
}

// Random features; the label follows from them, so there is something to learn.
inline ExamplesFile RandomExamples(const v1::DataTerms& terms, uint64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  const ExampleFormat format(terms);
  ExamplesWriter writer = Value(ExamplesWriter::InMemory(terms, "random"));
  std::string features(format.feature_bytes(), '\0');
  for (uint64_t i = 0; i < count; ++i) {
    for (char& value : features) value = static_cast<char>(random());
    Check(writer.Append(static_cast<uint8_t>(features[0]) * format.classes / 256, features));
  }
  return Value(std::move(writer).Finish());
}

inline v1::LocalTerms Sgd(uint32_t batch_size, uint32_t epochs) {
  v1::LocalTerms local;
  local.set_optimizer(v1::SGD);
  local.set_learning_rate_nano(50'000'000);
  local.set_momentum_nano(900'000'000);
  local.set_batch_size(batch_size);
  local.set_epochs(epochs);
  return local;
}

inline std::vector<float> ReadWeights(const std::string& path, const Layout& layout) {
  const WeightsFile file = Value(WeightsFile::Open(path, layout));
  std::vector<float> values(file.count());
  Check(file.Read(0, values));
  return values;
}

inline void SaveWeights(const std::string& path, const Layout& layout,
                        const std::vector<float>& values) {
  Check(WriteWeights(path, layout, [&](uint64_t begin, std::span<float> tile) {
    std::copy_n(values.begin() + static_cast<ptrdiff_t>(begin), tile.size(), tile.begin());
    return OkStatus();
  }));
}

inline std::vector<float> ReadFloats(const std::string& path) {
  const std::string bytes = ReadText(path);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

// A worker with a loaded model, its first weights at weights_path.
struct Ready {
  Ready(const std::string& toml, const v1::DataTerms& terms,
        const RunnerOptions& options = WorkerOptions())
      : spec(Value(ParseModelSpec(toml))),
        layout(LayoutOf(spec)),
        runner(Value(ModelRunner::Spawn(options))),
        weights(folder / "w.safetensors") {
    Check(runner->LoadModel(toml, terms));
    Check(WriteFirstWeights(weights, spec, 1));
  }

  StatusOr<TrainResult> Train(const ExamplesFile& examples, const v1::LocalTerms& local,
                              uint64_t seed, const std::string& output,
                              const TrainProgress& progress = {}, std::stop_token stop = {}) {
    TrainRequest request;
    request.weights_path = weights;
    request.examples_fd = examples.fd();
    request.local = local;
    request.seed = seed;
    request.output_path = output;
    return runner->Train(request, progress, std::move(stop));
  }

  TemporaryFolder folder;
  ModelSpec spec;
  Layout layout;
  std::unique_ptr<ModelRunner> runner;
  std::string weights;
};

}  // namespace crowdteach::learning
