// Models as code: honest ones are trained like any other; hostile ones end in a status, and the
// sandbox holds. script_models.py makes them, with PyTorch.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "learning/data/random.h"
#include "tests/unit/worker/worker_fixture.h"

namespace crowdteach::learning {
namespace {

using absl::StatusCode;

constexpr const char* kWritten = "/tmp/crowdteach-written-by-a-model";

RunnerOptions CodeOptions() {
  RunnerOptions options = WorkerOptions();
  options.allow_model_code = true;
  options.memory_limit_bytes = uint64_t{2} << 30;
  options.progress_timeout_ms = 5'000;
  options.cancel_timeout_ms = 500;
  return options;
}

// Eight bytes in, four classes. `large`: the inputs go up to 1000, at which a hostile model does
// what it is for; from_pytorch never tries such.
v1::DataTerms CodeTerms(bool large) {
  v1::DataTerms terms;
  terms.add_input_shape(8);
  terms.set_feature_type(v1::U8);
  terms.add_mean_nano(0);
  terms.add_deviation_nano(large ? 1'000'000 : 1'000'000'000);
  for (const char* name : {"a", "b", "c", "d"}) terms.add_classes(name);
  return terms;
}

// The folders that script_models.py writes, once. Empty: there is no PyTorch.
const std::string& Models() {
  static const std::string folder = [] {
    static const TemporaryFolder made;
    if (std::system("/usr/bin/python3 -c 'import torch' 2>/dev/null") != 0) return std::string();
    const std::string command =
        fmt::format("/usr/bin/python3 -B {}/tests/unit/worker/script_models.py {}",
                    CROWDTEACH_SOURCE_DIR, made / "");
    REQUIRE(std::system(command.c_str()) == 0);
    return made / "";
  }();
  if (folder.empty()) WARN("not tested: Debian's python3-torch is not installed");
  return folder;
}

struct Script {
  explicit Script(const std::string& name)
      : folder(Models() + name),
        toml(ReadText(folder + "/model.toml")),
        code(folder + "/model.pt"),
        weights(folder + "/model.safetensors"),
        layout(LayoutOf(Value(ParseModelSpec(toml)))) {}

  StatusOr<TrainResult> Train(ModelRunner& runner, const ExamplesFile& examples,
                              const std::string& output, std::stop_token stop = {}) const {
    TrainRequest request;
    request.weights_path = weights;
    request.examples_fd = examples.fd();
    request.local = Sgd(8, 2);
    request.seed = 5;
    request.output_path = output;
    return runner.Train(request, {}, std::move(stop));
  }

  std::string folder, toml, code, weights;
  Layout layout;
};

TEST_CASE("a model as code trains, and gives what it gives in PyTorch") {
  if (Models().empty()) return;
  const Script model("Honest");
  const v1::DataTerms terms = CodeTerms(false);
  const ExamplesFile examples = RandomExamples(terms, 40, 1);
  const TemporaryFolder folder;
  auto runner = Value(ModelRunner::Spawn(CodeOptions()));
  Check(runner->LoadModel(model.toml, terms, model.code));

  const auto first = Value(runner->Evaluate(model.weights, examples.fd(), folder / "logits"));
  const auto trained = Value(model.Train(*runner, examples, folder / "a"));
  CHECK(trained.finite);
  const std::vector<float> before = ReadWeights(model.weights, model.layout);
  const std::vector<float> after = ReadWeights(folder / "a", model.layout);
  for (const Tensor& tensor : model.layout.tensors) {
    const auto same =
        std::equal(before.begin() + static_cast<ptrdiff_t>(tensor.offset),
                   before.begin() + static_cast<ptrdiff_t>(tensor.offset + tensor.count),
                   after.begin() + static_cast<ptrdiff_t>(tensor.offset));
    INFO(tensor.name);
    CHECK(same == !tensor.trainable);
  }
  const auto second = Value(runner->Evaluate(folder / "a", examples.fd()));
  CHECK(second.loss_nats < first.loss_nats);

  // The gradient is that of the loss: a small step against it lowers the loss as it says.
  const auto at = Value(runner->Gradient(model.weights, examples.fd(), 1, folder / "gradient"));
  CHECK(at.loss_nats == first.loss_nats);
  const std::vector<float> gradient = ReadFloats(folder / "gradient");
  REQUIRE(gradient.size() == model.layout.trainable);
  double square = 0;
  for (const float g : gradient) square += static_cast<double>(g) * g;
  const double step = 1e-3 / square;
  std::vector<float> moved = before;
  for (const TrainableRun& run : model.layout.TrainableRuns()) {
    for (uint64_t i = 0; i < run.count; ++i) {
      moved[run.begin + i] -= static_cast<float>(step * gradient[run.update_begin + i]);
    }
  }
  SaveWeights(folder / "moved", model.layout, moved);
  const auto stepped = Value(runner->Evaluate(folder / "moved", examples.fd()));
  CHECK(std::abs((first.loss_nats - stepped.loss_nats) - 1e-3) < 5e-5);
}

TEST_CASE("what a model as code keeps beside its weights is undone before each request") {
  if (Models().empty()) return;
  const Script model("Counts");
  const v1::DataTerms terms = CodeTerms(false);
  const ExamplesFile examples = RandomExamples(terms, 40, 1);
  const TemporaryFolder folder;
  auto runner = Value(ModelRunner::Spawn(CodeOptions()));
  Check(runner->LoadModel(model.toml, terms, model.code));
  const double loss = Value(runner->Evaluate(model.weights, examples.fd())).loss_nats;
  Value(model.Train(*runner, examples, folder / "a"));
  Value(model.Train(*runner, examples, folder / "b"));
  CHECK(ReadText(folder / "a") == ReadText(folder / "b"));
  CHECK(Value(runner->Evaluate(model.weights, examples.fd())).loss_nats == loss);
}

TEST_CASE("code runs only where it is allowed, with its own model.toml, and in the sandbox") {
  if (Models().empty()) return;
  const Script model("Honest"), other("Counts");
  const v1::DataTerms terms = CodeTerms(false);
  RunnerOptions options = CodeOptions();
  options.sandbox = false;
  CHECK(Refused(ModelRunner::Spawn(options), StatusCode::kInvalidArgument, "sandbox"));

  auto careful = Value(ModelRunner::Spawn(WorkerOptions()));
  CHECK(Refused(careful->LoadModel(model.toml, terms, model.code), StatusCode::kInvalidArgument,
                "--allow-model-code"));
  auto runner = Value(ModelRunner::Spawn(CodeOptions()));
  CHECK(Refused(runner->LoadModel(model.toml, terms), StatusCode::kInvalidArgument, "without"));
  CHECK(Refused(runner->LoadModel(SmallModel(false), SmallModelTerms(), model.code),
                StatusCode::kInvalidArgument, "layers"));
  CHECK(Refused(runner->LoadModel(model.toml, terms, model.folder + "/none"), StatusCode::kNotFound,
                "none"));
  const struct {
    std::string from, to, why;
  } changes[] = {
      {"\"last.bias\"", "\"last.other\"", "'last.bias', which model.toml does not list"},
      {"\"last.bias\"\nshape = [4]", "\"last.bias\"\nshape = [5]", "'last.bias' is [4]"},
      {"[[tensor]]\nname = \"last.bias\"",
       "[[tensor]]\nname = \"z\"\nshape = [1]\n\n[[tensor]]\nname = \"last.bias\"",
       "no tensor 'z'"},
      {"statistic = true", "statistic = false", "is a buffer"},
  };
  for (const auto& change : changes) {
    std::string toml = model.toml;
    const size_t at = toml.find(change.from);
    REQUIRE(at != std::string::npos);
    toml.replace(at, change.from.size(), change.to);
    CHECK(Refused(runner->LoadModel(toml, terms, model.code), StatusCode::kInvalidArgument,
                  change.why));
  }
  CHECK(
      Refused(runner->LoadModel(model.toml, terms, other.code), StatusCode::kInvalidArgument, ""));
  Check(runner->LoadModel(model.toml, terms, model.code));  // and it lives on after all of these
}

TEST_CASE("hostile code ends in a status that says what happened") {
  if (Models().empty()) return;
  std::filesystem::remove(kWritten);
  const v1::DataTerms terms = CodeTerms(true);
  const ExamplesFile examples = RandomExamples(terms, 40, 1);
  const TemporaryFolder folder;
  const struct {
    std::string name;
    StatusCode code;
    std::string text;
    bool lives;
  } attacks[] = {
      {"ReadsFile", StatusCode::kInvalidArgument, "Operation not permitted", true},
      {"MapsFile", StatusCode::kInvalidArgument, "Operation not permitted", true},
      {"Loops", StatusCode::kDeadlineExceeded, "stalled and was killed: no progress for 5000 ms",
       false},
      {"Allocates", StatusCode::kResourceExhausted, "out of memory", true},
      {"AllocatesAtOnce", StatusCode::kResourceExhausted, "out of memory", true},
      {"ForksAndWaits", StatusCode::kDeadlineExceeded, "stalled and was killed", false},
      {"Raises", StatusCode::kInvalidArgument, "no thanks ?[2J", true},
      {"OtherShape", StatusCode::kInvalidArgument, "must give float32 logits, [", true},
      {"OtherType", StatusCode::kInvalidArgument, "must give float32 logits, [", true},
  };
  for (const auto& attack : attacks) {
    INFO(attack.name);
    const Script model(attack.name);
    auto runner = Value(ModelRunner::Spawn(CodeOptions()));
    Check(runner->LoadModel(model.toml, terms, model.code));
    CHECK(Refused(runner->Evaluate(model.weights, examples.fd()), attack.code, attack.text));
    CHECK(runner->alive() == attack.lives);
    if (!runner->alive()) continue;
    CHECK(Refused(model.Train(*runner, examples, folder / "trained"), attack.code, attack.text));
    CHECK(runner->alive() == attack.lives);
  }
  CHECK_FALSE(std::filesystem::exists(kWritten));
  CHECK_FALSE(std::filesystem::exists(folder / "trained"));
}

// What a model does to its own results or process is its owner's affair, as long as it ends as a
// status or a result. (torch.save does not say that it could not write.)
TEST_CASE("code that spoils itself spoils nothing else") {
  if (Models().empty()) return;
  const v1::DataTerms terms = CodeTerms(true);
  const ExamplesFile examples = RandomExamples(terms, 40, 1);
  const TemporaryFolder folder;
  for (const char* name : {"WritesFile", "Forks", "Prints", "NoGradient", "NotANumber",
                           "FreesWeights", "SetsWeights"}) {
    INFO(name);
    const Script model(name);
    auto runner = Value(ModelRunner::Spawn(CodeOptions()));
    Check(runner->LoadModel(model.toml, terms, model.code));
    const auto trained = model.Train(*runner, examples, folder / "trained");
    INFO(trained.status());
    const bool wrote = std::filesystem::exists(folder / "trained");
    CHECK(wrote == (trained.ok() && trained->finite));
    if (wrote)
      Check(CheckFinite(Value(WeightsFile::Open(folder / "trained", model.layout)), model.layout));
    std::filesystem::remove(folder / "trained");
    if (name == std::string("NotANumber")) CHECK((trained.ok() && !trained->finite));
    if (name == std::string("NoGradient")) {
      CHECK(Refused(trained.status(), StatusCode::kInvalidArgument, "does not require grad"));
    }
  }
  CHECK_FALSE(std::filesystem::exists(kWritten));
}

TEST_CASE("a damaged archive is a status") {
  if (Models().empty()) return;
  const Script model("Honest");
  const v1::DataTerms terms = CodeTerms(false);
  const std::string whole = ReadText(model.code);
  const TemporaryFolder folder;
  auto runner = Value(ModelRunner::Spawn(CodeOptions()));
  const auto load = [&](const std::string& bytes) {
    std::string toml = model.toml;
    const size_t at = toml.find("code_bytes = ");
    toml.replace(at, toml.find('\n', at) - at, fmt::format("code_bytes = {}", bytes.size()));
    WriteText(folder / "model.pt", bytes);
    if (!runner->alive()) runner = Value(ModelRunner::Spawn(CodeOptions()));
    const Status status = runner->LoadModel(toml, terms, folder / "model.pt");
    if (status.ok()) runner = Value(ModelRunner::Spawn(CodeOptions()));
    return status;
  };
  for (const size_t size : {size_t{1}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    INFO(size);
    CHECK(Refused(load(whole.substr(0, size)), StatusCode::kInvalidArgument, "loading"));
  }
  CHECK(Refused(load(std::string(4096, 'x')), StatusCode::kInvalidArgument, "loading"));
  // A flipped bit somewhere: refused, or without effect.
  Random random(7, "damage", 0);
  int refused = 0;
  for (int i = 0; i < 60; ++i) {
    std::string damaged = whole;
    for (int k = 0; k <= i % 3; ++k) {
      damaged[random.Below(damaged.size())] ^= static_cast<char>(1 << (i % 8));
    }
    refused += load(damaged).ok() ? 0 : 1;
  }
  CHECK(refused > 20);
}

}  // namespace
}  // namespace crowdteach::learning
