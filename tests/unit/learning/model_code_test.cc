// model.toml of a model as code: what is read, and what is refused. Loading it is the worker's.
#include <cmath>
#include <vector>

#include "learning/model/init.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/learning/model_files.h"

namespace crowdteach::learning {
namespace {

using crowdteach::testing::Refused;

const std::string kDigest(64, 'a');

std::string Text(const std::string& tensors,
                 const std::string& head = "classes = 3\ncode_bytes = 900\n") {
  return "[model]\nname = \"net\"\ninput = [4]\nkind = \"code\"\ncode = \"" + kDigest + "\"\n" +
         head + tensors;
}
const std::string kTensors =
    "[[tensor]]\nname = \"fc.weight\"\nshape = [3, 4]\n"
    "[[tensor]]\nname = \"base.weight\"\nshape = [4, 4]\ntrainable = false\n"
    "[[tensor]]\nname = \"norm.running_mean\"\nshape = [4]\nstatistic = true\n";

TEST_CASE("a model as code is its tensors and its file", "[model]") {
  const ModelSpec spec = Value(ParseModelSpec(Text(kTensors)));
  REQUIRE(spec.code);
  CHECK(base::Hex(spec.code->digest) == kDigest);
  CHECK(spec.code->size_bytes == 900);
  CHECK(spec.classes == 3);
  CHECK(spec.layers.empty());
  CHECK(spec.parameters == 32);
  const Layout layout = LayoutOf(spec);
  CHECK(layout.total == 32);
  CHECK(layout.trainable == 16);
  REQUIRE(layout.tensors.size() == 3);
  CHECK(layout.tensors[0].name == "base.weight");
  CHECK_FALSE(layout.tensors[0].trainable);
  CHECK(layout.tensors[1].offset == 16);
  CHECK(layout.tensors[2].statistic);
  CHECK(layout.OptimisedRuns().size() == 1);
  CHECK(ModelCodeOf(Text(kTensors)).has_value());

  CHECK(CheckCodeAllowed(spec, true).ok());
  CHECK(Refused(CheckCodeAllowed(spec, false), absl::StatusCode::kInvalidArgument,
                "TorchScript code, 900 bytes"));
  const ModelSpec layers = Value(ParseModelSpec(ExampleModel("mlp")));
  CHECK(CheckCodeAllowed(layers, false).ok());
  CHECK_FALSE(ModelCodeOf(ExampleModel("mlp")).has_value());
  CHECK_FALSE(ModelCodeOf("nonsense").has_value());
}

TEST_CASE("what is wrong with a model as code is named", "[model]") {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const auto large = absl::StatusCode::kResourceExhausted;
  const auto tensor = [](const std::string& lines) {
    return Text("[[tensor]]\nname = \"w\"\nshape = [2]\n[[tensor]]\n" + lines);
  };
  const struct {
    std::string text;
    absl::StatusCode code;
    std::string message;
  } cases[] = {
      {"[model]\nname = \"n\"\ninput = [4]\nkind = \"script\"\n", invalid,
       "model.toml:4: model: kind must be \"layers\" or \"code\""},
      {Text(""), invalid, "no [[tensor]] tables"},
      {Text(kTensors + "[[layer]]\nname = \"x\"\ntype = \"ReLU\"\n"), invalid,
       "known are [model] and [[tensor]]"},
      {Text(kTensors, "classes = 1\ncode_bytes = 9\n"), invalid, "classes is 1"},
      {Text(kTensors, "classes = 3\n"), invalid, "code_bytes is missing"},
      {Text(kTensors, "classes = 3\ncode_bytes = 2000000000\n"), large, "code_bytes is 2000000000"},
      {Text(kTensors, "classes = 3\ncode_bytes = 9\nother = 1\n"), invalid, "other"},
      {tensor("name = \"w\"\nshape = [1]\n"), invalid, "tensor 'w': name is taken"},
      {tensor("name = \"a b\"\nshape = [1]\n"), invalid, "tensor 2: name must be 1 to 128 letters"},
      {tensor("name = \"v\"\nshape = []\n"), invalid, "tensor 'v': shape"},
      {tensor("name = \"v\"\nshape = [0]\n"), invalid, "tensor 'v': shape"},
      {tensor("name = \"v\"\nshape = [2147483647, 2147483647]\n"), large, "tensor 'v': brings"},
      {tensor("name = \"v\"\nshape = [1]\ntrainable = false\nstatistic = true\n"), invalid,
       "tensor 'v': statistic"},
      {tensor("name = \"v\"\nshape = [1]\ndtype = \"half\"\n"), invalid, "tensor 'v': dtype"},
      {Text("[[tensor]]\nname = \"w\"\nshape = [2]\nstatistic = true\n"), invalid,
       "no tensor is trainable"},
  };
  for (const auto& item : cases) {
    INFO(item.text);
    CHECK(Refused(ParseModelSpec(item.text), item.code, item.message));
  }
  std::string digest = Text(kTensors);
  digest.replace(digest.find("aaa"), 3, "xyz");
  CHECK(Refused(ParseModelSpec(digest), invalid, "code must be the file's blob digest"));
}

TEST_CASE("first weights of a model as code are numbers to try it with", "[model]") {
  const ModelSpec spec = Value(ParseModelSpec(Text(kTensors)));
  const TemporaryFolder folder;
  REQUIRE(WriteFirstWeights(folder / "w", spec, 1).ok());
  std::vector<float> values(32);
  REQUIRE(ReadWeights(folder / "w", LayoutOf(spec), values).ok());
  for (size_t i = 0; i < 28; ++i) CHECK((values[i] != 0 && std::abs(values[i]) <= 0.5F));
  for (size_t i = 28; i < 32; ++i) CHECK(values[i] == 1.0F);
}

}  // namespace
}  // namespace crowdteach::learning
