// An exported model is opened by PyTorch alone, through the load_model.py in its folder.
#include "learning/model/export.h"

#include <cstdlib>

#include "learning/model/init.h"
#include "learning/model/safetensors.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/model_files.h"

namespace crowdteach::learning {
namespace {

// Every layer type, dotted and awkward names, pairs, a frozen layer.
constexpr char kEverything[] = R"(
[model]
name = "everything"
input = [2, 8, 8]
[[layer]]
name = "forward"
type = "Conv2d"
in_channels = 2
out_channels = 4
kernel_size = [3, 5]
padding = [1, 2]
groups = 2
trainable = false
[[layer]]
name = "a.keys"
type = "GELU"
approximate = "tanh"
[[layer]]
name = "a.pool"
type = "MaxPool2d"
kernel_size = 3
stride = 2
padding = 1
[[layer]]
name = "b"
type = "AvgPool2d"
inputs = ["input"]
kernel_size = [2, 2]
count_include_pad = false
[[layer]]
name = "cat"
type = "Concat"
inputs = ["a.pool", "b"]
[[layer]]
name = "norm"
type = "GroupNorm"
num_groups = 3
num_channels = 6
eps = 0.001
[[layer]]
name = "tanh"
type = "Tanh"
[[layer]]
name = "add"
type = "Add"
inputs = ["norm", "tanh", "cat"]
[[layer]]
name = "relu"
type = "ReLU"
[[layer]]
name = "drop"
type = "Dropout"
p = 0.9
[[layer]]
name = "flat"
type = "Flatten"
[[layer]]
name = "fc"
type = "Linear"
in_features = 96
out_features = 5
bias = false
)";

// Runs in each exported folder: prints parameters, trainable ones, the logits' shape, and whether
// logits are the same twice (eval mode) and their loss near ln(classes), nearer for the shipped
// models of ten classes.
constexpr char kProbe[] = R"(
import contextlib, io, math, sys
import torch
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import load_model
for folder in sys.argv[1:]:
    model = load_model.load(folder)
    torch.manual_seed(1)
    batch = torch.randn(64, *model.input_shape)
    with torch.no_grad():
        logits = model(batch)
        same = torch.equal(logits, model(batch))
    classes = logits.shape[1]
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(64) % classes).item()
    print(sum(p.numel() for p in model.parameters()),
          sum(p.numel() for p in model.parameters() if p.requires_grad),
          list(logits.shape), same, abs(loss - math.log(classes)) < (0.2 if classes == 10 else 1))
with contextlib.redirect_stdout(io.StringIO()) as shown:
    load_model.main()
print(shown.getvalue().splitlines()[-1])
)";

std::string OutputOf(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  char buffer[4096];
  for (size_t got; (got = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    output.append(buffer, got);
  }
  INFO(output);
  REQUIRE(::pclose(pipe) == 0);
  return output;
}

std::string Export(const TemporaryFolder& folder, const std::string& name,
                   const std::string& toml) {
  const ModelSpec spec = Value(ParseModelSpec(toml));
  REQUIRE(WriteFirstWeights(folder / (name + ".first"), spec, 5).ok());
  const Status status = ExportModel(folder / name, toml, folder / (name + ".first"));
  INFO(Message(status));
  REQUIRE(status.ok());
  return folder / name;
}

TEST_CASE("an exported folder holds the three files", "[export]") {
  const TemporaryFolder folder;
  const std::string out = Export(folder, "mlp", ExampleModel("mlp"));
  CHECK(ReadText(out + "/model.toml") == ExampleModel("mlp"));
  CHECK((ReadText(out + "/model.safetensors") == ReadText(folder / "mlp.first")));
  CHECK(ReadText(out + "/load_model.py") == LoaderScript());
  CHECK(LoaderScript() ==
        ReadText(std::string(CROWDTEACH_SOURCE_DIR) + "/learning/model/load_model.py"));
  // Weights of another model are refused, and the old files stay.
  const Status status = ExportModel(out, ExampleModel("cnn"), folder / "mlp.first");
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(ReadText(out + "/model.toml") == ExampleModel("mlp"));
}

TEST_CASE("PyTorch loads exported models and computes logits", "[export]") {
  const char* named = std::getenv("CROWDTEACH_PYTHON");
  const std::string python = named != nullptr ? named : "/usr/bin/python3";
  if (std::system(
          (python +
           " -c 'import tomllib; from importlib import util; exit(not util.find_spec(\"torch\"))'")
              .c_str()) != 0) {
    WARN(python << " has no torch: not tested. Install python3-torch, or set CROWDTEACH_PYTHON.");
    return;
  }
  const TemporaryFolder folder;
  std::string command = python + " " + (folder / "probe.py");
  WriteText(folder / "probe.py", kProbe);
  for (const std::string name : {"mlp", "cnn", "resnet"}) {
    command += " " + Export(folder, name, ExampleModel(name));
  }
  command += " " + Export(folder, "everything", kEverything);
  CHECK(OutputOf(command + " 2>&1") ==
        "50890 50890 [64, 10] True True\n"
        "5994 5994 [64, 10] True True\n"
        "19706 19706 [64, 10] True True\n"
        "556 492 [64, 5] True True\n"
        "parameters: 50890\n");
}

}  // namespace
}  // namespace crowdteach::learning
