// Shapes, costs, tensors and errors of the layers of sequences, norms and joints.
#include "learning/model/model_spec.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/model_files.h"

namespace crowdteach::learning {
namespace {

std::string Head(const std::string& input) {
  return "[model]\nname = \"m\"\ninput = " + input + "\n";
}

// Lines: [[layer]], name, type, then `rest`, one argument a line.
std::string Text(const std::string& name, const std::string& type, const std::string& rest = "") {
  return "[[layer]]\nname = \"" + name + "\"\ntype = \"" + type + "\"\n" + rest +
         (rest.empty() ? "" : "\n");
}

const std::string kEnd = Text("end", "Flatten");

std::string Out(int features) {
  return kEnd + Text("out", "Linear", fmt::format("in_features = {}\nout_features = 2", features));
}

Shape FirstShape(const std::string& text) { return Value(ParseModelSpec(text)).layers[0].shape; }

TEST_CASE("shapes of one-dimensional windows and adaptive pools", "[model]") {
  CHECK(FirstShape(
            Head("[2, 10]") +
            Text("c", "Conv1d", "in_channels = 2\nout_channels = 3\nkernel_size = 3\nstride = 2") +
            Out(12)) == Shape{3, 4});
  CHECK(FirstShape(Head("[2, 10]") + Text("p", "MaxPool1d", "kernel_size = [3]") + Out(6)) ==
        Shape{2, 3});
  CHECK(FirstShape(Head("[2, 10]") + Text("p", "AvgPool1d", "kernel_size = 4\npadding = 1") +
                   Out(6)) == Shape{2, 3});
  CHECK(FirstShape(Head("[2, 10]") + Text("p", "AdaptiveAvgPool1d", "output_size = 1") + Out(2)) ==
        Shape{2, 1});
  CHECK(FirstShape(Head("[2, 6, 9]") + Text("p", "AdaptiveAvgPool2d", "output_size = [2, 3]") +
                   Out(12)) == Shape{2, 2, 3});
}

TEST_CASE("shapes of what rearranges and chooses", "[model]") {
  CHECK(FirstShape(Head("[2, 3, 4]") + Text("f", "Flatten", "start_dim = 2") + Out(24)) ==
        Shape{2, 12});
  CHECK(FirstShape(Head("[2, 3, 4]") + Text("f", "Flatten", "start_dim = 1\nend_dim = -2") +
                   Out(24)) == Shape{6, 4});
  CHECK(FirstShape(Head("[12]") + Text("u", "Unflatten", "dim = -1\nunflattened_size = [1, 3, 4]") +
                   Out(12)) == Shape{1, 3, 4});
  CHECK(FirstShape(Head("[2, 3, 4]") + Text("p", "Permute", "dims = [0, 3, 1, 2]") + Out(24)) ==
        Shape{4, 2, 3});
  CHECK(FirstShape(Head("[2, 3, 4]") + Text("s", "Select", "dim = 2\nindex = -3") + Out(8)) ==
        Shape{2, 4});
  CHECK(FirstShape(Head("[2, 3, 4]") + Text("m", "Mean", "dim = [2, -1]") + Out(2)) == Shape{2});
  CHECK(FirstShape(Head("[2, 3, 4]") + Text("m", "Mean", "dim = 1\nkeepdim = true") + Out(12)) ==
        Shape{1, 3, 4});
}

TEST_CASE("tensors bear PyTorch's names", "[model]") {
  const auto names = [](const std::string& text) {
    std::vector<std::string> all;
    for (const Tensor& tensor : LayoutOf(Value(ParseModelSpec(text))).tensors) {
      if (!tensor.name.starts_with("out.")) {
        all.push_back(fmt::format("{} {}", tensor.name, ShapeText(tensor.shape)));
      }
    }
    return all;
  };
  using Names = std::vector<std::string>;
  CHECK(names(Head("[5, 3]") +
              Text("r", "LSTM",
                   "input_size = 3\nhidden_size = 2\nbidirectional = true\nbatch_first = true") +
              Out(20)) == Names{"r.bias_hh_l0 [8]", "r.bias_hh_l0_reverse [8]", "r.bias_ih_l0 [8]",
                                "r.bias_ih_l0_reverse [8]", "r.weight_hh_l0 [8, 2]",
                                "r.weight_hh_l0_reverse [8, 2]", "r.weight_ih_l0 [8, 3]",
                                "r.weight_ih_l0_reverse [8, 3]"});
  CHECK(names(Head("[5, 3]") +
              Text("r", "GRU",
                   "input_size = 3\nhidden_size = 2\nnum_layers = 2\nbias = false\n"
                   "batch_first = true") +
              Out(10)) == Names{"r.weight_hh_l0 [6, 2]", "r.weight_hh_l1 [6, 2]",
                                "r.weight_ih_l0 [6, 3]", "r.weight_ih_l1 [6, 2]"});
  CHECK(names(Head("[5, 4]") +
              Text("t", "TransformerEncoderLayer",
                   "d_model = 4\nnhead = 2\ndim_feedforward = 6\nbatch_first = true") +
              Out(20)) ==
        Names{"t.linear1.bias [6]", "t.linear1.weight [6, 4]", "t.linear2.bias [4]",
              "t.linear2.weight [4, 6]", "t.norm1.bias [4]", "t.norm1.weight [4]",
              "t.norm2.bias [4]", "t.norm2.weight [4]", "t.self_attn.in_proj_bias [12]",
              "t.self_attn.in_proj_weight [12, 4]", "t.self_attn.out_proj.bias [4]",
              "t.self_attn.out_proj.weight [4, 4]"});
  CHECK(names(Head("[5]") + Text("e", "Embedding", "num_embeddings = 9\nembedding_dim = 4") +
              Text("pos", "Parameter", "shape = [1, 5, 4]") +
              Text("sum", "Add", "inputs = [\"e\", \"pos\"]") +
              Text("n", "LayerNorm", "normalized_shape = 4") + Out(20)) ==
        Names{"e.weight [9, 4]", "n.bias [4]", "n.weight [4]", "pos [1, 5, 4]"});
}

TEST_CASE("frozen statistics are frozen like the rest", "[model]") {
  const std::string model = Head("[3, 4, 4]") +
                            Text("a", "BatchNorm2d", "num_features = 3\ntrainable = false") +
                            Text("b", "BatchNorm2d", "num_features = 3\naffine = false") + Out(48);
  for (const Tensor& tensor : LayoutOf(Value(ParseModelSpec(model))).tensors) {
    INFO(tensor.name);
    CHECK(tensor.trainable == (tensor.name[0] != 'a'));
    CHECK(tensor.statistic == (tensor.name[0] == 'b'));
  }
  // Statistics alone are nothing to train.
  const std::string frozen =
      Text("out", "Linear", "in_features = 48\nout_features = 2\ntrainable = false");
  const auto none =
      ParseModelSpec(Head("[3, 4, 4]") +
                     Text("b", "BatchNorm2d", "num_features = 3\naffine = false") + kEnd + frozen);
  CHECK(Message(none.status()).find("no layer has trainable parameters") != std::string::npos);
}

TEST_CASE("costs count what a layer keeps", "[model]") {
  const ModelSpec norm = Value(
      ParseModelSpec(Head("[3, 4]") + Text("n", "BatchNorm1d", "num_features = 3") + Out(12)));
  CHECK(norm.activation_bytes == 4 * (12 + 3 * 12 + 12 + 2));
  const ModelSpec lstm = Value(ParseModelSpec(
      Head("[5, 3]") + Text("r", "LSTM", "input_size = 3\nhidden_size = 2\nbatch_first = true") +
      Out(10)));
  // A step: two products with an [8, 3] and an [8, 2] matrix, and 16 for each of 8 gate values.
  CHECK(lstm.flops == 5 * (2 * 8 * (3 + 2) + 16 * 8) + 2 * 10 * 2);
  // Input, output, gates twice and cell, output, tanh(cell); then flat and logits.
  CHECK(lstm.activation_bytes == 4 * (15 + 10 + 5 * (8 + 3) * 2 + 10 + 2));
  const ModelSpec attention = Value(ParseModelSpec(
      Head("[5, 4]") +
      Text("a", "MultiheadAttention", "embed_dim = 4\nnum_heads = 2\nbatch_first = true") +
      Out(20)));
  // Four projections, two products of 5 × 5 × 4, softmax of 2 × 5 × 5; then the linear layer.
  CHECK(attention.flops == 4 * 2 * 5 * 4 * 4 + 2 * 2 * 25 * 4 + 8 * 50 + 2 * 20 * 2);
  CHECK(attention.activation_bytes == 4 * (20 + 20 + 4 * 20 + 3 * 50 + 20 + 2));
}

TEST_CASE("errors of the layers of sequences, norms and joints", "[model]") {
  const std::string batch_first = "batch_first must be written as true";
  const struct {
    std::string text, error;
  } cases[] = {
      {Head("[5, 3]") + Text("r", "LSTM", "input_size = 3\nhidden_size = 2"),
       "model.toml:4: layer 'r': " + batch_first},
      {Head("[5, 3]") + Text("r", "GRU", "batch_first = false\ninput_size = 3\nhidden_size = 2"),
       "model.toml:7: layer 'r': " + batch_first},
      {Head("[5, 3]") + Text("r", "LSTM",
                             "input_size = 3\nhidden_size = 2\nbatch_first = true\n"
                             "num_layers = 2147483647"),
       "model.toml:10: layer 'r': num_layers must be at most 64"},
      {Head("[5, 3]") + Text("r", "LSTM", "input_size = 4\nhidden_size = 2\nbatch_first = true"),
       "model.toml:7: layer 'r': input_size is 4, but 3 features arrive (shape [5, 3])"},
      {Head("[5]") + Text("r", "LSTM", "input_size = 5\nhidden_size = 2\nbatch_first = true"),
       "layer 'r': needs [length, features], but [5] arrives"},
      {Head("[5, 6]") +
           Text("a", "MultiheadAttention", "embed_dim = 6\nnum_heads = 4\nbatch_first = true"),
       "model.toml:8: layer 'a': num_heads is 4, which does not divide embed_dim 6"},
      {Head("[5, 6]") + Text("a", "MultiheadAttention",
                             "embed_dim = 6\nnum_heads = 2\nbatch_first = true\n"
                             "inputs = [\"input\", \"input\"]"),
       "inputs has 2 names, but MultiheadAttention takes one, or query, key and value"},
      {Head("[5, 6]") + Text("t", "TransformerEncoderLayer",
                             "d_model = 6\nnhead = 2\nbatch_first = true\nactivation = \"tanh\""),
       "model.toml:10: layer 't': activation must be \"relu\" or \"gelu\""},
      {Head("[5]") + Text("e", "Embedding", "num_embeddings = 16777217\nembedding_dim = 1"),
       "model.toml:7: layer 'e': num_embeddings must be at most 16777216"},
      {Head("[5]") +
           Text("e", "Embedding", "num_embeddings = 9\nembedding_dim = 4\npadding_idx = 9"),
       "model.toml:9: layer 'e': padding_idx must be below num_embeddings 9"},
      {Head("[5]") + Text("x", "ReLU") +
           Text("e", "Embedding", "num_embeddings = 9\nembedding_dim = 4"),
       "layer 'e': inputs must be [\"input\"]"},
      {Head("[5]") + Text("x", "ReLU") +
           Text("e", "Embedding", "num_embeddings = 9\nembedding_dim = 4\ninputs = [\"input\"]"),
       "layer 'e': inputs is \"input\" like that of layer 'x', but Embedding takes indices"},
      {Head("[5, 4]") + Text("n", "LayerNorm", "normalized_shape = [5]"),
       "model.toml:7: layer 'n': normalized_shape is [5], but [5, 4] arrives"},
      {Head("[5, 4]") + Text("n", "BatchNorm2d", "num_features = 5"),
       "layer 'n': needs [channels, height, width], but [5, 4] arrives"},
      {Head("[5, 4]") + Text("n", "BatchNorm1d", "num_features = 4"),
       "model.toml:7: layer 'n': num_features is 4, but 5 channels arrive"},
      {Head("[5, 4]") + Text("n", "BatchNorm1d", "num_features = 5\nmomentum = 1.5"),
       "model.toml:8: layer 'n': momentum must be 0 to 1"},
      {Head("[5, 4]") + Text("n", "BatchNorm1d", "num_features = 5\ntrack_running_stats = false"),
       "track_running_stats is not known here"},
      {Head("[5, 4]") + Text("p", "AdaptiveAvgPool1d", "output_size = 5"),
       "model.toml:7: layer 'p': output_size is 5, but only 4 places arrive"},
      {Head("[5, 4]") + Text("p", "MaxPool1d", "kernel_size = [3, 3]"),
       "model.toml:7: layer 'p': kernel_size must be an integer"},
      {Head("[5, 4]") + Text("s", "Select", "dim = 0\nindex = 0"),
       "model.toml:7: layer 's': dim is 0, but must be 1 to 2, or -1 to -2 from the end"},
      {Head("[5, 4]") + Text("s", "Select", "dim = 1\nindex = 5"),
       "model.toml:8: layer 's': index is 5, but that dimension of [5, 4] has 0 to 4"},
      {Head("[5]") + Text("s", "Select", "dim = 1\nindex = 0"), "would leave a single value"},
      {Head("[5, 4]") + Text("m", "Mean", "dim = [1, -2]"), "dim names a dimension twice"},
      {Head("[5, 4]") + Text("m", "Mean", "dim = [1, 2]"), "dim leaves no dimension"},
      {Head("[5, 4]") + Text("p", "Permute", "dims = [1, 0, 2]"),
       "model.toml:7: layer 'p': dims must be 0 (the batch), then 1 to 2"},
      {Head("[5, 4]") + Text("p", "Permute", "dims = [0, 1, 1]"), "dims must be 0 (the batch)"},
      {Head("[6]") + Text("u", "Unflatten", "dim = 1\nunflattened_size = [2, 2]"),
       "unflattened_size [2, 2] holds 4, but that dimension of [6] is 6"},
      {Head("[6]") + Text("u", "Unflatten", "dim = 1\nunflattened_size = [1,1,1,1,1,1,1,6]") +
           Text("v", "Unflatten", "dim = 1\nunflattened_size = [1, 1]"),
       "layer 'v': gives [1, 1, 1, 1, 1, 1, 1, 1, 6], but 8 dimensions are the most"},
      {Head("[6]") + Text("p", "Parameter", "shape = [2, 6]"),
       "model.toml:7: layer 'p': shape must begin with 1"},
      {Head("[6]") + Text("p", "Parameter", "shape = [1, 6]\ninputs = [\"input\"]"),
       "model.toml:8: layer 'p': inputs is not known here"},
      {Head("[6]") + Text("p", "Parameter", "shape = [1, 6]"),
       "model.toml: no layer reads \"input\""},
  };
  for (const auto& item : cases) {
    INFO(item.text);
    const auto spec = ParseModelSpec(item.text);
    REQUIRE_FALSE(spec.ok());
    INFO(Message(spec.status()));
    CHECK(Message(spec.status()).find(item.error) != std::string::npos);
  }
}

TEST_CASE("sequences are bounded before anything is allocated", "[model]") {
  const std::string huge = "2147483647";
  for (const std::string& text :
       {Head("[" + huge + "]") +
            Text("e", "Embedding", "num_embeddings = 2\nembedding_dim = " + huge),
        Head("[4000, 4000]") + Text("a", "MultiheadAttention",
                                    "embed_dim = 4000\nnum_heads = 4000\nbatch_first = true"),
        Head("[4, 4]") +
            Text("r", "LSTM",
                 "input_size = 4\nbatch_first = true\nnum_layers = 64\nhidden_size = " + huge),
        Head("[4, 4]") +
            Text("t", "TransformerEncoderLayer",
                 "d_model = 4\nnhead = 1\nbatch_first = true\ndim_feedforward = " + huge)}) {
    INFO(text);
    CHECK(ParseModelSpec(text).status().code() == absl::StatusCode::kResourceExhausted);
  }
}

}  // namespace
}  // namespace crowdteach::learning
