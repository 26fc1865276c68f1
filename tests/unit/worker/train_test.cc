// What the worker computes: training, evaluation, gradients.
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <thread>

#include "tests/unit/worker/worker_fixture.h"

namespace crowdteach::learning {
namespace {

TEST_CASE("training on Fashion-MNIST lowers the loss, and is the same for the same seed") {
  const v1::DataTerms terms = FashionTerms();
  const ExamplesFile examples =
      Value(ReadDataset("/usr/share/datasets/fashion-mnist:train", terms, {.limit = 1500}));
  const ExamplesFile validation =
      Value(ReadDataset("/usr/share/datasets/fashion-mnist:t10k", terms, {.limit = 500}));
  Ready worker(ExampleModel("cnn"), terms);
  const EvaluateResult before = Value(worker.runner->Evaluate(worker.weights, validation.fd()));

  std::vector<uint64_t> seen;
  const auto progress = [&](uint64_t batch, uint64_t batches, double loss) {
    CHECK(batches == 94);
    CHECK(std::isfinite(loss));
    seen.push_back(batch);
  };
  const std::string a = worker.folder / "a", b = worker.folder / "b", c = worker.folder / "c";
  const TrainResult trained = Value(worker.Train(examples, Sgd(32, 2), 7, a, progress));
  CHECK(trained.finite);
  CHECK(trained.batches == 94);
  CHECK(trained.examples == 1500);
  std::vector<uint64_t> all(94);
  std::iota(all.begin(), all.end(), 1);
  CHECK(seen == all);

  const EvaluateResult after = Value(worker.runner->Evaluate(a, validation.fd()));
  INFO("loss " << before.loss_nats << " -> " << after.loss_nats << ", correct " << after.correct);
  CHECK(after.loss_nats < 0.6 * before.loss_nats);
  CHECK(after.correct > 300);
  CHECK(after.count == 500);
  CHECK(after.per_class_count.size() == 10);
  CHECK(std::accumulate(after.per_class_count.begin(), after.per_class_count.end(), 0UL) == 500);
  CHECK(std::accumulate(after.per_class_correct.begin(), after.per_class_correct.end(), 0UL) ==
        after.correct);

  Value(worker.Train(examples, Sgd(32, 2), 7, b));
  CHECK(ReadText(a) == ReadText(b));
  Value(worker.Train(examples, Sgd(32, 2), 8, c));
  CHECK(ReadText(a) != ReadText(c));
}

TEST_CASE("frozen layers do not move, and have no gradient") {
  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 60, 3);
  Ready worker(SmallModel(true), terms);
  const std::string after = worker.folder / "after", gradient = worker.folder / "gradient";
  v1::LocalTerms local = Sgd(20, 3);
  local.set_weight_decay_nano(100'000'000);
  Value(worker.Train(examples, local, 1, after));
  const std::vector<float> from = ReadWeights(worker.weights, worker.layout);
  const std::vector<float> to = ReadWeights(after, worker.layout);
  for (const Tensor& tensor : worker.layout.tensors) {
    INFO(tensor.name);
    const bool same =
        std::equal(from.begin() + static_cast<ptrdiff_t>(tensor.offset),
                   from.begin() + static_cast<ptrdiff_t>(tensor.offset + tensor.count),
                   to.begin() + static_cast<ptrdiff_t>(tensor.offset));
    CHECK(same == !tensor.trainable);
  }
  Value(worker.runner->Gradient(worker.weights, examples.fd(), 7, gradient));
  CHECK(std::filesystem::file_size(gradient) == 7 * worker.layout.trainable * sizeof(float));
}

TEST_CASE("the gradient agrees with differences of the loss, block by block") {
  const v1::DataTerms terms = SmallModelTerms();
  const uint64_t n = 50;
  const ExamplesFile examples = RandomExamples(terms, n, 4);
  Ready worker(SmallModel(false), terms);
  auto oracle = Value(MakeOracle(*worker.runner, examples.fd(), n, 8));
  const std::string path = worker.folder / "gradient";
  const Evaluation at = Value(oracle->Gradient(worker.weights, path));
  const std::vector<float> blocks = ReadFloats(path);
  const uint64_t parameters = worker.layout.trainable;
  REQUIRE(blocks.size() == 8 * parameters);
  REQUIRE(at.block_loss_nats.size() == 8);
  CHECK(at.loss_nats == Approx(Value(oracle->Evaluate(worker.weights)).loss_nats).epsilon(1e-6));

  std::vector<double> gradient(parameters);
  double loss = 0;
  for (uint64_t b = 0; b < 8; ++b) {
    const double share = static_cast<double>((b + 1) * n / 8 - b * n / 8) / static_cast<double>(n);
    loss += share * at.block_loss_nats[b];
    for (uint64_t k = 0; k < parameters; ++k) gradient[k] += share * blocks[b * parameters + k];
  }
  CHECK(loss == Approx(at.loss_nats).epsilon(1e-12));

  double square = 0;
  for (const double g : gradient) square += g * g;
  const auto loss_at = [&](double step) {
    std::vector<float> weights = ReadWeights(worker.weights, worker.layout);
    for (uint64_t k = 0; k < parameters; ++k) {
      weights[k] += static_cast<float>(step * gradient[k]);
    }
    const std::string moved = worker.folder / "moved";
    SaveWeights(moved, worker.layout, weights);
    return Value(oracle->Evaluate(moved)).loss_nats;
  };
  const double h = 0.01 / std::sqrt(square);
  CHECK((loss_at(h) - loss_at(-h)) / (2 * h) == Approx(square).epsilon(2e-3));
}

TEST_CASE("a loss that is not finite is an answer") {
  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 30, 5);
  Ready worker(SmallModel(false), terms);
  std::vector<float> weights(worker.layout.total, std::numeric_limits<float>::quiet_NaN());
  const std::string bad = worker.folder / "bad", gradient = worker.folder / "gradient";
  SaveWeights(bad, worker.layout, weights);
  const EvaluateResult result = Value(worker.runner->Evaluate(bad, examples.fd()));
  CHECK_FALSE(result.finite);
  CHECK(result.correct == 0);
  CHECK_FALSE(Value(worker.runner->Gradient(bad, examples.fd(), 2, gradient)).finite);

  v1::LocalTerms local = Sgd(10, 20);
  local.set_learning_rate_nano(uint64_t{1} << 63);
  local.set_weight_decay_nano(uint64_t{1} << 63);
  const std::string output = worker.folder / "diverged";
  CHECK_FALSE(Value(worker.Train(examples, local, 1, output)).finite);
  CHECK_FALSE(std::filesystem::exists(output));
}

TEST_CASE("wrong inputs are refused, and the worker goes on") {
  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 30, 6);
  auto runner = Value(ModelRunner::Spawn(WorkerOptions()));
  const auto invalid = absl::StatusCode::kInvalidArgument;
  CHECK(Refused(runner->Evaluate("/dev/null", examples.fd()), absl::StatusCode::kFailedPrecondition,
                "no model"));
  CHECK(Refused(runner->LoadModel("nonsense", terms), invalid, "model.toml"));
  CHECK(Refused(runner->LoadModel(ExampleModel("mlp"), terms), invalid, "input"));
  v1::DataTerms other = terms;
  other.add_classes("d");
  CHECK(Refused(runner->LoadModel(SmallModel(false), other), invalid, "classes"));
  Check(runner->LoadModel(SmallModel(false), terms));
  CHECK(Refused(runner->Evaluate("/dev/null", examples.fd()), invalid, ""));
  CHECK(Refused(runner->Evaluate("/nonexistent/w", examples.fd()), absl::StatusCode::kNotFound,
                "/nonexistent/w"));

  Ready worker(SmallModel(false), terms);
  const ExamplesFile wrong = RandomExamples(SmallTerms({5}, v1::U8, {"a", "b"}), 3, 1);
  CHECK(Refused(worker.runner->Evaluate(worker.weights, wrong.fd()), invalid, ""));
  CHECK(Refused(worker.runner->Gradient(worker.weights, examples.fd(), 31, worker.folder / "g"),
                invalid, "31 blocks"));
  v1::LocalTerms local = Sgd(10, 1);
  local.set_steps(5);
  CHECK(Refused(worker.Train(examples, local, 1, worker.folder / "o"), invalid, "exactly one"));
  CHECK(Value(worker.runner->Evaluate(worker.weights, examples.fd())).count == 30);
}

TEST_CASE("a stop token ends training between two batches; the worker goes on") {
  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 200, 8);
  Ready worker(SmallModel(false), terms);
  std::stop_source source;
  uint64_t last = 0;
  const std::string output = worker.folder / "output";
  const auto result = worker.Train(
      examples, Sgd(1, 4'000'000), 1, output,
      [&](uint64_t batch, uint64_t, double) {
        last = batch;
        if (batch == 3) source.request_stop();
      },
      source.get_token());
  CHECK(Refused(result, absl::StatusCode::kCancelled, ""));
  CHECK(last < 400'000);
  for (const auto& entry : std::filesystem::directory_iterator(worker.folder / ".")) {
    CHECK(entry.path().filename() == "w.safetensors");  // nothing half-written is left
  }
  CHECK(worker.runner->alive());
  CHECK(Value(worker.Train(examples, Sgd(20, 1), 1, output)).finite);
}

}  // namespace
}  // namespace crowdteach::learning
