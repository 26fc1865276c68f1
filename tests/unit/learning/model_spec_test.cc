#include "learning/model/model_spec.h"

#include <random>

#include "tests/support/catch.h"
#include "tests/unit/learning/model_files.h"

namespace crowdteach::learning {
namespace {

constexpr char kHead[] = "[model]\nname = \"m\"\ninput = [2, 6, 6]\n";  // lines 1 to 3

// A layer table of four lines or more: [[layer]], name, type, then `rest`.
std::string LayerText(const std::string& name, const std::string& type,
                      const std::string& rest = "") {
  return "[[layer]]\nname = \"" + name + "\"\ntype = \"" + type + "\"\n" + rest +
         (rest.empty() ? "" : "\n");
}

const std::string kFlatten = LayerText("flat", "Flatten");  // three lines
const std::string kFc = LayerText("fc", "Linear", "in_features = 72\nout_features = 3");

std::string ErrorOf(const std::string& text, const ModelLimits& limits = {}) {
  const auto spec = ParseModelSpec(text, limits);
  INFO(text);
  REQUIRE_FALSE(spec.ok());
  return Message(spec.status());
}

TEST_CASE("the shipped models have the figures worked out by hand", "[model]") {
  const ModelSpec mlp = Value(ParseModelSpec(ExampleModel("mlp")));
  CHECK(mlp.parameters == 784 * 64 + 64 + 64 * 10 + 10);
  CHECK(mlp.flops == 2 * 784 * 64 + 64 + 2 * 64 * 10);
  CHECK(mlp.activation_bytes == 4 * (784 + 784 + 64 + 64 + 10));

  const ModelSpec cnn = Value(ParseModelSpec(ExampleModel("cnn")));
  CHECK(cnn.parameters == 8 * 25 + 8 + 16 * 8 * 25 + 16 + 256 * 10 + 10);
  CHECK(cnn.flops == 656384);
  // The larger workspace is conv1's: 25 values for each of 24 × 24 places; conv2 has 200 for 8 × 8.
  CHECK(cnn.activation_bytes ==
        4 * (784 + 2 * 8 * 24 * 24 + 8 * 12 * 12 + 2 * 16 * 8 * 8 + 2 * 256 + 10 + 25 * 24 * 24));

  const ModelSpec resnet = Value(ParseModelSpec(ExampleModel("resnet")));
  CHECK(resnet.parameters == 19706);
  const ModelSpec batchnorm = Value(ParseModelSpec(ExampleModel("cnn-batchnorm")));
  CHECK(batchnorm.parameters == 9 * (8 + 8 * 16 + 16 * 32) + 4 * (8 + 16 + 32) + 32 * 10 + 10);
  for (const ModelSpec& spec : {mlp, cnn, resnet, batchnorm}) {
    CHECK(spec.classes == 10);
    CHECK(LayoutOf(spec).total == spec.parameters);
    CHECK(LayoutOf(spec).trainable == spec.parameters);
  }
}

TEST_CASE("the layout lists tensors by name, and updates leave out frozen ones", "[model]") {
  const ModelSpec spec = Value(ParseModelSpec(
      kHead +
      LayerText("b", "Conv2d",
                "in_channels = 2\nout_channels = 4\nkernel_size = [3, 1]\ntrainable = false") +
      LayerText("a", "GroupNorm", "num_groups = 2\nnum_channels = 4") + kFlatten +
      LayerText("c.head", "Linear", "in_features = 96\nout_features = 2\nbias = false")));
  const Layout layout = LayoutOf(spec);
  REQUIRE(layout.tensors.size() == 5);
  const char* names[] = {"a.bias", "a.weight", "b.bias", "b.weight", "c.head.weight"};
  const uint64_t offsets[] = {0, 4, 8, 12, 36};
  for (size_t i = 0; i < 5; ++i) {
    CHECK(layout.tensors[i].name == names[i]);
    CHECK(layout.tensors[i].offset == offsets[i]);
    CHECK(layout.tensors[i].trainable == (names[i][0] != 'b'));
  }
  CHECK(layout.tensors[3].shape == Shape{4, 2, 3, 1});
  CHECK(layout.total == 228);
  CHECK(layout.trainable == 200);
  CHECK(spec.layers[0].shape == Shape{4, 4, 6});
}

TEST_CASE("a convolution's shape follows torch.nn's rule", "[model]") {
  const auto shape = [](const std::string& rest, int features) {
    const ModelSpec spec = Value(ParseModelSpec(
        kHead + LayerText("x", "Conv2d", "in_channels = 2\nout_channels = 3\n" + rest) + kFlatten +
        LayerText("fc", "Linear", fmt::format("in_features = {}\nout_features = 2", features))));
    return spec.layers[0].shape;
  };
  CHECK(shape("kernel_size = 6", 3) == Shape{3, 1, 1});
  CHECK(shape("kernel_size = 3\npadding = 1", 108) == Shape{3, 6, 6});
  CHECK(shape("kernel_size = 3\npadding = 1\nstride = 2", 27) == Shape{3, 3, 3});
  CHECK(shape("kernel_size = [3, 4]\ndilation = [2, 1]\nstride = 3\npadding = [1, 2]", 18) ==
        Shape{3, 2, 3});
}

TEST_CASE("shapes of pools, Concat and Add", "[model]") {
  const ModelSpec spec = Value(ParseModelSpec(
      kHead + LayerText("max", "MaxPool2d", "kernel_size = 3\nstride = 2\npadding = 1") +
      LayerText("avg", "AvgPool2d", "inputs = [\"input\"]\nkernel_size = 2") +
      LayerText("cat", "Concat", "inputs = [\"max\", \"avg\", \"max\"]") +
      LayerText("wide", "Concat", "inputs = [\"cat\", \"cat\"]\ndim = 3") +
      LayerText("add", "Add", "inputs = [\"wide\", \"wide\"]") +
      LayerText("gelu", "GELU", "approximate = \"tanh\"") + LayerText("tanh", "Tanh") +
      LayerText("drop", "Dropout", "p = 0") + kFlatten +
      LayerText("fc", "Linear", "in_features = 108\nout_features = 2")));
  CHECK(spec.layers[0].shape == Shape{2, 3, 3});
  CHECK(spec.layers[1].shape == Shape{2, 3, 3});
  CHECK(spec.layers[2].shape == Shape{6, 3, 3});
  CHECK(spec.layers[3].shape == Shape{6, 3, 6});
  CHECK(spec.layers[4].shape == Shape{6, 3, 6});
  CHECK(spec.layers[2].inputs == std::vector<int32_t>{0, 1, 0});
  CHECK(spec.layers[0].inputs == std::vector<int32_t>{kModelInput});
  CHECK(std::get<GELU>(spec.layers[5].arguments).tanh);
}

TEST_CASE("an error names line, layer and argument", "[model]") {
  const struct {
    std::string text, error;
  } cases[] = {
      {"[model\n", "model.toml:1: "},
      // These trip an assertion of toml++ where it is built with them.
      {"[\n[model]\n", "model.toml:1: "},
      {"[[[model]]]\n", "model.toml:1: "},
      {"[[=", "model.toml:1: "},
      // toml++ has undefined behaviour on this one.
      {"\u1234 = 1\n", "model.toml:1: a character beyond ASCII may stand in a comment"},
      {"# \u1234\n[model] # \u1234\nname = \"\u00e9\"\n",
       "model.toml:3: model: name must be 1 to 80 printable ASCII"},
      {"", "there is no [model]"},
      {kHead, "no [[layer]]"},
      {kHead + std::string("[other]\n"), "model.toml:4: unknown key"},
      {"[model]\ninput = [4]\n" + kFlatten, "model.toml:1: model: name is missing"},
      {"[model]\nname = \"m\"\ninput = [4, 0]\n" + kFlatten,
       "model.toml:3: model: input is 0, but must be 1 to 2147483647"},
      {"[model]\nname = \"m\"\ninput = [4]\nloss = \"mse\"\n" + kFlatten,
       "model.toml:4: model: loss must be"},
      {kHead + kFlatten + LayerText("fc", "Linear", "in_features = 71\nout_features = 3"),
       "model.toml:10: layer 'fc': in_features is 71, but 72 features arrive"},
      {kHead + LayerText("fc", "Linear", "in_features = 6\nout_features = 3"),
       "model.toml:4: layer 'fc': the last layer must give one logit a class, two at least, but "
       "its "
       "output is [2, 6, 3]"},
      {kHead + LayerText("fc", "Linear", "in_features = 72\nout_features = 3"),
       "model.toml:7: layer 'fc': in_features is 72, but the last dimension of [2, 6, 6] is 6: put "
       "a "
       "Flatten before it"},
      {kHead + kFlatten + LayerText("fc", "Linear", "in_features = 72"),
       "model.toml:7: layer 'fc': out_features is missing"},
      {kHead + kFlatten + LayerText("fc", "Linear", "in_features = \"72\"\nout_features = 3"),
       "model.toml:10: layer 'fc': in_features must be an integer"},
      {kHead + kFlatten + kFc + "kernel_size = 3\n",
       "model.toml:12: layer 'fc': kernel_size is not known here; known are bias, in_features"},
      {kHead + kFlatten + "trainable = false\n" + kFc,
       "model.toml:7: layer 'flat': trainable is not known here"},
      {kHead + LayerText("x", "BatchNorm3d"),
       "model.toml:6: layer 'x': type is \"BatchNorm3d\"; known are Adaptive"},
      {kHead + LayerText("a b", "ReLU"), "model.toml:5: layer 1: name must be"},
      {kHead + LayerText("input", "ReLU"), "model.toml:5: layer 1: name must be"},
      {kHead + LayerText("a..b", "ReLU"), "model.toml:5: layer 1: name must be"},
      {kHead + LayerText("a.training", "ReLU"), "model.toml:5: layer 1: name must be"},
      {kHead + LayerText("training.a", "ReLU"), "model.toml:5: layer 1: name must be"},
      {kHead + kFlatten + LayerText("flat", "ReLU"), "model.toml:8: layer 'flat': name is taken"},
      {kHead + kFlatten + LayerText("flat.x", "ReLU"),
       "model.toml:8: layer 'flat.x': name and layer 'flat' lie one inside the other"},
      {kHead + LayerText("a", "Add", "inputs = [\"input\", \"b\"]") + LayerText("b", "ReLU"),
       "model.toml:7: layer 'a': inputs names 'b', which is neither"},
      {kHead + LayerText("a", "ReLU", "inputs = [\"a\"]"),
       "model.toml:7: layer 'a': inputs names 'a'"},
      {kHead + LayerText("a", "Add"),
       "model.toml:4: layer 'a': inputs has 1 names, but Add takes two"},
      {kHead + LayerText("a", "ReLU", "inputs = [\"input\", \"input\"]"),
       "model.toml:7: layer 'a': inputs has 2 names, but ReLU takes one"},
      {kHead + LayerText("p", "MaxPool2d", "kernel_size = 2") +
           LayerText("a", "Add", "inputs = [\"input\", \"p\"]"),
       "model.toml:11: layer 'a': inputs differ in shape: [2, 6, 6] and [2, 3, 3]"},
      {kHead + LayerText("p", "MaxPool2d", "kernel_size = 2") +
           LayerText("a", "Concat", "inputs = [\"input\", \"p\"]"),
       "model.toml:11: layer 'a': inputs do not fit along dim 1"},
      {kHead + LayerText("a", "Concat", "inputs = [\"input\", \"input\"]\ndim = 4"),
       "model.toml:8: layer 'a': dim is 4, but must be 1 to 3"},
      {kHead + LayerText("unused", "ReLU") + LayerText("flat", "Flatten", "inputs = [\"input\"]") +
           kFc,
       "model.toml:4: layer 'unused': no later layer uses its output"},
      {kHead + LayerText("c", "Conv2d", "in_channels = 2\nout_channels = 4\nkernel_size = 7"),
       "model.toml:9: layer 'c': kernel_size spans 7 rows, but the padded input has only 6"},
      {kHead + LayerText("c", "Conv2d", "in_channels = 1\nout_channels = 4\nkernel_size = 3"),
       "model.toml:7: layer 'c': in_channels is 1, but 2 channels arrive"},
      {kHead + LayerText("c", "Conv2d",
                         "in_channels = 2\nout_channels = 3\nkernel_size = 3\ngroups = 2"),
       "model.toml:10: layer 'c': groups is 2"},
      {kHead +
           LayerText("c", "Conv2d", "in_channels = 2\nout_channels = 3\nkernel_size = [3, 3, 3]"),
       "model.toml:9: layer 'c': kernel_size must be an integer or [height, width]"},
      {kHead + LayerText("n", "GroupNorm", "num_groups = 2\nnum_channels = 3"),
       "model.toml:8: layer 'n': num_channels is 3"},
      {kHead + LayerText("n", "GroupNorm", "num_groups = 2\nnum_channels = 2\neps = nan"),
       "model.toml:9: layer 'n': eps must be a finite number"},
      {kHead + LayerText("p", "MaxPool2d", "kernel_size = 2\npadding = 2"),
       "model.toml:8: layer 'p': padding is 2, more than half of kernel_size 2"},
      {kHead + LayerText("d", "Dropout", "p = 1.0"), "model.toml:7: layer 'd': p must be"},
      {kHead + LayerText("f", "ReLU"),
       "model.toml:4: layer 'f': the last layer must give one logit"},
      {kHead + kFlatten, "no layer has trainable parameters"},
      {kHead + kFlatten + kFc + "trainable = false\n", "no layer has trainable parameters"},
  };
  for (const auto& item : cases) {
    const std::string error = ErrorOf(item.text);
    INFO(item.text);
    INFO(error);
    CHECK(error.find(item.error) != std::string::npos);
  }
}

TEST_CASE("size is bounded before anything is allocated, whatever the arguments", "[model]") {
  const std::string huge = "2147483647";
  CHECK(ErrorOf(kHead + LayerText("c", "Conv2d",
                                  "in_channels = 2\nout_channels = " + huge +
                                      "\nkernel_size = " + huge + "\npadding = " + huge))
            .find("parameters, but at most 2147483648") != std::string::npos);
  CHECK(ErrorOf("[model]\nname=\"m\"\ninput=[" + huge + "," + huge + "," + huge + "]\n" + kFlatten)
            .find("18446744073709551615 activation bytes") != std::string::npos);
  const std::string good = kHead + kFlatten + kFc;
  CHECK(ParseModelSpec(good).ok());
  CHECK(ErrorOf(good, {.text_bytes = good.size() - 1}).find("bytes") != std::string::npos);
  CHECK(ErrorOf(good, {.layers = 1}).find("2 layers") != std::string::npos);
  CHECK(ErrorOf(good, {.parameters = 218}).find("layer 'fc': brings the model to 219 parameters") !=
        std::string::npos);
  CHECK(ErrorOf(good, {.activation_bytes = 587}).find("588 activation bytes") != std::string::npos);
  CHECK(ErrorOf(good, {.flops = 431}).find("432 FLOPs") != std::string::npos);
  const ModelLimits exact{good.size(), 2, 219, 588, 432};
  CHECK(ParseModelSpec(good, exact).ok());
  CHECK(ParseModelSpec(good, {.flops = 1}).status().code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("deeply nested text is refused, not followed", "[model]") {
  std::string dots = "a";
  for (int i = 0; i < 15000; ++i) dots += ".a";
  ErrorOf(dots + " = 1\n");
  ErrorOf("[" + dots + "]\n");
  ErrorOf("a = " + std::string(30000, '['));
  std::string tables = "a = ";
  for (int i = 0; i < 8000; ++i) tables += "{a=";
  ErrorOf(tables);
  ErrorOf(std::string("[model]\nname = \"\0\"", 19));
}

TEST_CASE("mutated models are parsed or refused, never more", "[model][property]") {
  const uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string models[] = {ExampleModel("mlp"),         ExampleModel("cnn"),
                                ExampleModel("resnet"),      ExampleModel("cnn-batchnorm"),
                                ExampleModel("series-conv"), ExampleModel("text-transformer")};
  int parsed = 0;
  for (int i = 0; i < 1500; ++i) {
    const std::string text = Mutated(models[i % 6], random);
    const auto spec = ParseModelSpec(text);
    if (!spec.ok()) {
      CHECK_FALSE(spec.status().message().empty());
      continue;
    }
    ++parsed;
    CHECK(LayoutOf(*spec).total == spec->parameters);
  }
  CHECK(parsed > 0);
}

}  // namespace
}  // namespace crowdteach::learning
