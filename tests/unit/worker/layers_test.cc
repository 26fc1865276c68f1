// What layers do beyond arithmetic: statistics, indices, seeds; and the shipped models learn. What
// they compute is compared with PyTorch in reference_test.cc.
#include <cmath>
#include <numbers>

#include "learning/aggregate/fedavg.h"
#include "learning/fixed_point.h"
#include "learning/score/aumann_shapley.h"
#include "learning/score/gradient.h"
#include "tests/support/learning_world.h"
#include "tests/unit/worker/odd_models.h"
#include "tests/unit/worker/worker_fixture.h"

namespace crowdteach::learning {
namespace {

const auto kInvalid = absl::StatusCode::kInvalidArgument;

// 12 bytes in, 3 classes out, with a BatchNorm between.
std::string NormModel() {
  return "[model]\nname = \"norm\"\ninput = [3, 2, 2]\n"
         "[[layer]]\nname = \"flat\"\ntype = \"Flatten\"\n"
         "[[layer]]\nname = \"a\"\ntype = \"Linear\"\nin_features = 12\nout_features = 8\n"
         "[[layer]]\nname = \"norm\"\ntype = \"BatchNorm1d\"\nnum_features = 8\n"
         "[[layer]]\nname = \"tanh\"\ntype = \"Tanh\"\n"
         "[[layer]]\nname = \"b\"\ntype = \"Linear\"\nin_features = 8\nout_features = 3\n";
}

std::string TextModel(uint64_t embeddings) {
  return fmt::format(
      "[model]\nname = \"text\"\ninput = [6]\n"
      "[[layer]]\nname = \"token\"\ntype = \"Embedding\"\nnum_embeddings = {}\nembedding_dim = 4\n"
      "[[layer]]\nname = \"mean\"\ntype = \"Mean\"\ndim = 1\n"
      "[[layer]]\nname = \"fc\"\ntype = \"Linear\"\nin_features = 4\nout_features = 2\n",
      embeddings);
}

const Tensor& TensorOf(const Layout& layout, const std::string& name) {
  for (const Tensor& tensor : layout.tensors) {
    if (tensor.name == name) return tensor;
  }
  FAIL("no tensor " + name);
  return layout.tensors[0];
}

// Two teachers' updates of one value a coordinate, aggregated and scored by a real worker.
struct Round {
  explicit Round(const std::string& toml, const v1::DataTerms& terms)
      : examples(RandomExamples(terms, 64, 3)),
        worker(toml, terms),
        oracle(Value(MakeOracle(*worker.runner, examples.fd(), 64, 8))) {
    format.layout = worker.layout;
    format.data_offset_bytes = CanonicalHeader(worker.layout).size();
  }

  // An update that adds `delta` to every value of the tensors whose names end so.
  TeacherUpdate Adding(uint64_t account, double delta, const std::string& ending) const {
    std::vector<int32_t> values(format.layout.trainable);
    uint64_t at = 0;
    for (const Tensor& tensor : format.layout.tensors) {
      for (uint64_t k = 0; k < tensor.count; ++k, ++at) {
        if (tensor.name.ends_with(ending)) {
          values[at] = static_cast<int32_t>(std::ldexp(delta, 24) * (k % 2 == 0 ? 1 : 0.5));
        }
      }
    }
    return InMemory(account, 1, std::move(values));
  }

  Score Run(const std::vector<TeacherUpdate>& teachers) {
    const UpdateSet updates = Value(UpdateSet::Make(teachers, format.layout.trainable));
    const std::string next = worker.folder / "next";
    const FedAvgResult step =
        Value(AggregateFedAvg(updates, 24, format, worker.weights, next, executor));
    const Evaluation before = Value(oracle->Evaluate(worker.weights));
    const base::Hash digest =
        Value(BlobDigestOfFile(base::BlobKind::kWeights, worker.weights, executor));
    AumannShapley scorer;
    return Value(
        scorer.Run({updates, 24, format, worker.weights, next, digest, step.model_digest,
                    step.is_void, step.e, Value(LossQ32(before.loss_nats)), before.correct,
                    worker.folder / ".", worker.folder / "g", std::string(kGradientSaltBytes, 's')},
                   *oracle, executor));
  }

  ExamplesFile examples;
  Ready worker;
  std::unique_ptr<LossOracle> oracle;
  WeightsFormat format;
  TileExecutor executor{1};
};

TEST_CASE("statistics are in the layout and in an update, and the optimiser passes them by") {
  const Layout layout = LayoutOf(Value(ParseModelSpec(NormModel())));
  CHECK(TensorOf(layout, "norm.running_var").statistic);
  CHECK(TensorOf(layout, "norm.running_mean").trainable);
  CHECK_FALSE(TensorOf(layout, "norm.weight").statistic);
  CHECK(layout.trainable == layout.total);
  uint64_t optimised = 0;
  for (const TrainableRun& run : layout.OptimisedRuns()) optimised += run.count;
  CHECK(optimised == layout.total - 16);
  // They lie between norm.bias and norm.weight, so there are two runs, both by update coordinates.
  REQUIRE(layout.OptimisedRuns().size() == 2);
  CHECK(layout.OptimisedRuns()[1].update_begin == TensorOf(layout, "norm.weight").offset);

  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 40, 2);
  Ready worker(NormModel(), terms);
  v1::LocalTerms local = Sgd(20, 1);
  local.set_learning_rate_nano(0);
  const std::string after = worker.folder / "after";
  Value(worker.Train(examples, local, 1, after));
  const std::vector<float> from = ReadWeights(worker.weights, layout),
                           to = ReadWeights(after, layout);
  for (const Tensor& tensor : layout.tensors) {
    INFO(tensor.name);
    for (uint64_t k = tensor.offset; k < tensor.offset + tensor.count; ++k) {
      CHECK((from[k] != to[k]) == tensor.statistic);
    }
  }
}

TEST_CASE("statistics are scored with the rest: their part is in D, and scores sum to v") {
  Round round(NormModel(), SmallModelTerms());
  const Score score = round.Run({round.Adding(1, 0.5, ".running_mean"),
                                 round.Adding(2, 0.1, "b.weight"), round.Adding(3, 0.0, "")});
  REQUIRE(score.verdict == ScoreVerdict::kScored);
  int64_t sum = 0;
  for (const TeacherScore& line : score.lines) sum += line.phi_q32;
  CHECK(sum == score.value_q32());
  CHECK(score.lines[0].phi_q32 != 0);
  CHECK(score.lines[2].phi_q32 == 0);
  // Alone, it is worth what it changes, by two evaluations of the loss.
  const Score alone = round.Run({round.Adding(1, 0.5, ".running_mean")});
  CHECK(alone.value_q32() != 0);
  CHECK(alone.lines[0].phi_q32 == alone.value_q32());
  CHECK(alone.lines[0].d != 0);
}

TEST_CASE("an update that makes a variance negative diverges, and its teacher is named") {
  Round round(NormModel(), SmallModelTerms());
  const std::vector<TeacherUpdate> teachers = {round.Adding(1, 0.01, "weight"),
                                               round.Adding(2, -90.0, ".running_var")};
  const Score score = round.Run(teachers);
  CHECK(score.verdict == ScoreVerdict::kDiverges);
  CHECK(score.diverging == std::vector<uint64_t>{2});
  const Evaluation next = Value(round.oracle->Evaluate(round.worker.folder / "next"));
  CHECK_FALSE(next.finite);
  CHECK(std::isnan(next.loss_nats));
}

TEST_CASE("a BatchNorm trains on no single value a channel, and says so before it starts") {
  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 21, 2);
  Ready worker(NormModel(), terms);
  const std::string output = worker.folder / "o";
  CHECK(Refused(worker.Train(examples, Sgd(1, 1), 1, output), kInvalid,
                "layer 'norm' (BatchNorm1d) cannot train on batches of one example"));
  CHECK(Refused(worker.Train(examples, Sgd(20, 1), 1, output), kInvalid,
                "an epoch's last batch, which is one example"));
  v1::LocalTerms first = Sgd(20, 0);
  first.set_steps(1);  // ends before the rest
  CHECK(Value(worker.Train(examples, first, 1, output)).finite);
  CHECK(Value(worker.Train(examples, Sgd(19, 1), 1, output)).finite);
}

TEST_CASE("an Embedding's indices are checked, example by example") {
  const v1::DataTerms bytes = SmallTerms({6}, v1::U8, {"a", "b"});
  const ExamplesFile examples = RandomExamples(bytes, 50, 4);  // bytes up to 255
  Ready fits(TextModel(256), bytes), narrow(TextModel(100), bytes);
  CHECK(Value(fits.runner->Evaluate(fits.weights, examples.fd())).finite);
  const auto refused = "the model takes indices, whole numbers 0 to 99";
  CHECK(Refused(narrow.runner->Evaluate(narrow.weights, examples.fd()), kInvalid, refused));
  CHECK(Refused(narrow.Train(examples, Sgd(10, 1), 1, narrow.folder / "o"), kInvalid, refused));
  CHECK(Refused(narrow.runner->Gradient(narrow.weights, examples.fd(), 1, narrow.folder / "g"),
                kInvalid, "example "));
  CHECK(narrow.runner->alive());

  v1::DataTerms scaled = bytes;
  scaled.set_deviation_nano(0, 500'000'000);
  const auto runner = Value(ModelRunner::Spawn(WorkerOptions()));
  CHECK(Refused(runner->LoadModel(TextModel(256), scaled), kInvalid, "deviation 1"));

  const v1::DataTerms floats = SmallTerms({6}, v1::FLOAT32, {"a", "b"});
  Ready worker(TextModel(100), floats);
  const auto evaluate = [&](float value) {
    ExamplesWriter writer = Value(ExamplesWriter::InMemory(floats, "floats"));
    std::string features(6 * sizeof(float), '\0');
    Check(writer.Append(0, features));
    std::memcpy(features.data() + 2 * sizeof(float), &value, sizeof(value));
    Check(writer.Append(1, features));
    const ExamplesFile file = Value(std::move(writer).Finish());
    return worker.runner->Evaluate(worker.weights, file.fd());
  };
  CHECK(evaluate(99.0F).ok());
  CHECK(Refused(evaluate(100.0F), kInvalid, "example 2: feature 3 is 100,"));
  CHECK(Refused(evaluate(1.5F), kInvalid, "feature 3 is 1.5,"));
  CHECK(Refused(evaluate(-1.0F), kInvalid, "feature 3 is -1,"));
  CHECK(Refused(evaluate(1e30F), kInvalid, "feature 3 is 1e+30,"));
}

TEST_CASE("dropout inside recurrent and attention layers follows the seed") {
  const v1::DataTerms terms = SmallTerms({30}, v1::U8, {"a", "b", "c"});
  const ExamplesFile examples = RandomExamples(terms, 16, 7);
  const std::string layers[] = {
      "type = \"LSTM\"\ninput_size = 6\nhidden_size = 6\nnum_layers = 2\ndropout = 0.5\n",
      "type = \"GRU\"\ninput_size = 6\nhidden_size = 6\nnum_layers = 2\ndropout = 0.5\n",
      "type = \"MultiheadAttention\"\nembed_dim = 6\nnum_heads = 2\ndropout = 0.5\n",
      "type = \"TransformerEncoderLayer\"\nd_model = 6\nnhead = 2\ndropout = 0.5\n"};
  for (const std::string& layer : layers) {
    INFO(layer);
    Ready worker(
        "[model]\nname = \"m\"\ninput = [30]\n"
        "[[layer]]\nname = \"rows\"\ntype = \"Unflatten\"\ndim = 1\nunflattened_size = [5, 6]\n"
        "[[layer]]\nname = \"x\"\nbatch_first = true\n" +
            layer +
            "[[layer]]\nname = \"flat\"\ntype = \"Flatten\"\n"
            "[[layer]]\nname = \"fc\"\ntype = \"Linear\"\nin_features = 30\nout_features = 3\n",
        terms);
    // One batch holds all, so the order, which also follows the seed, moves only the last bits.
    const auto train = [&](uint64_t seed) {
      Value(worker.Train(examples, Sgd(16, 1), seed, worker.folder / "o"));
      return ReadWeights(worker.folder / "o", worker.layout);
    };
    const std::vector<float> first = train(1), again = train(1), other = train(2);
    CHECK(first == again);
    float largest = 0;
    for (size_t i = 0; i < first.size(); ++i) {
      largest = std::max(largest, std::abs(first[i] - other[i]));
    }
    CHECK(largest > 1e-5F);
  }
}

TEST_CASE("every layer trains in the sandbox with two threads, on small and large batches") {
  v1::DataTerms images = SmallModelTerms();
  images.set_input_shape(1, 9);
  images.set_input_shape(2, 11);
  images.add_classes("d");
  const std::vector<std::string> four = {"a", "b", "c", "d"};
  const struct {
    const char* toml;
    v1::DataTerms terms;
  } cases[] = {{kOddModel, images},
               {kNormsModel, images},
               {kSeriesModel, SmallTerms({3, 24}, v1::U8, four)},
               {kTextModel, SmallTerms({12}, v1::U8, four)},
               {kAttentionModel, SmallTerms({30}, v1::U8, four)}};
  RunnerOptions options = WorkerOptions();
  options.threads = 2;
  for (const auto& item : cases) {
    INFO(item.toml);
    Ready worker(item.toml, item.terms, options);
    const ExamplesFile examples = RandomExamples(item.terms, 400, 5);
    for (const uint32_t batch_size : {2, 33, 400}) {
      CHECK(Value(worker.Train(examples, Sgd(batch_size, 1), 1, worker.folder / "o")).finite);
    }
    CHECK(Value(worker.runner->Gradient(worker.weights, examples.fd(), 3, worker.folder / "g"))
              .finite);
  }
}

// Trains until the loss is below `share` of what it was, or fails after 10 rounds of `local`.
void Learns(const std::string& name, const v1::DataTerms& terms, const ExamplesFile& examples,
            const ExamplesFile& validation, const v1::LocalTerms& local, double share) {
  Ready worker(ExampleModel(name), terms);
  const double before = Value(worker.runner->Evaluate(worker.weights, validation.fd())).loss_nats;
  double after = before;
  for (uint64_t round = 0; round < 10 && after >= share * before; ++round) {
    const std::string next = worker.folder / std::to_string(round);
    REQUIRE(Value(worker.Train(examples, local, round, next)).finite);
    worker.weights = next;
    after = Value(worker.runner->Evaluate(next, validation.fd())).loss_nats;
  }
  INFO(name << ": loss " << before << " -> " << after);
  CHECK(after < share * before);
}

v1::LocalTerms Adam(uint32_t batch_size, uint32_t epochs) {
  v1::LocalTerms local = Sgd(batch_size, epochs);
  local.set_optimizer(v1::ADAM);
  local.set_momentum_nano(0);
  local.set_learning_rate_nano(3'000'000);
  return local;
}

TEST_CASE("the shipped models with norms, attention and recurrent layers learn") {
  const v1::DataTerms fashion = FashionTerms();
  const std::string folder = "/usr/share/datasets/fashion-mnist";
  Learns("cnn-batchnorm", fashion, Value(ReadDataset(folder + ":train", fashion, {.limit = 1000})),
         Value(ReadDataset(folder + ":t10k", fashion, {.limit = 300})), Adam(50, 1), 0.5);

  // Class b's text has a z among its letters.
  const v1::DataTerms text = SmallTerms({64}, v1::U8, {"a", "b"});
  const auto texts = [&](uint64_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    ExamplesWriter writer = Value(ExamplesWriter::InMemory(text, "text"));
    for (uint64_t i = 0; i < count; ++i) {
      std::string features(64, '\0');
      const size_t length = 20 + random() % 44;
      for (size_t k = 0; k < length; ++k) features[k] = static_cast<char>('a' + random() % 10);
      if (i % 2 == 1) features[random() % length] = 'z';
      Check(writer.Append(static_cast<uint32_t>(i % 2), features));
    }
    return Value(std::move(writer).Finish());
  };
  Learns("text-transformer", text, texts(400, 1), texts(200, 2), Adam(20, 2), 0.5);

  // Sines of three frequencies, any phase, with noise.
  const v1::DataTerms series = SmallTerms({1, 128}, v1::FLOAT32, {"slow", "middle", "fast"});
  const auto waves = [&](uint64_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> noise(0, 0.3F);
    ExamplesWriter writer = Value(ExamplesWriter::InMemory(series, "waves"));
    for (uint64_t i = 0; i < count; ++i) {
      std::vector<float> values(128);
      const double phase = static_cast<double>(random() % 1000) / 159.0;
      for (size_t k = 0; k < values.size(); ++k) {
        const double turns = static_cast<double>(k * (3 + 2 * (i % 3))) / 128;
        values[k] =
            static_cast<float>(std::sin(2 * std::numbers::pi * turns + phase)) + noise(random);
      }
      Check(writer.Append(static_cast<uint32_t>(i % 3),
                          {reinterpret_cast<const char*>(values.data()), 4 * values.size()}));
    }
    return Value(std::move(writer).Finish());
  };
  Learns("series-conv", series, waves(300, 1), waves(150, 2), Adam(20, 2), 0.5);
}

}  // namespace
}  // namespace crowdteach::learning
