// Models made of the layers and arguments that the shipped ones leave out; four classes each.
#pragma once

namespace crowdteach::learning {

// Images: windows of odd sizes, a frozen GroupNorm.
inline constexpr const char* kOddModel = R"(
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

// BatchNorm in all its forms.
inline constexpr const char* kNormsModel = R"(
[model]
name = "norms"
input = [3, 9, 11]
[[layer]]
name = "conv"
type = "Conv2d"
in_channels = 3
out_channels = 6
kernel_size = 3
bias = false
[[layer]]
name = "bn"
type = "BatchNorm2d"
num_features = 6
eps = 0.001
momentum = 0.3
[[layer]]
name = "leaky"
type = "LeakyReLU"
negative_slope = 0.2
[[layer]]
name = "frozen"
type = "BatchNorm2d"
num_features = 6
trainable = false
[[layer]]
name = "silu"
type = "SiLU"
[[layer]]
name = "pool"
type = "AdaptiveAvgPool2d"
output_size = [2, 3]
[[layer]]
name = "ln"
type = "LayerNorm"
normalized_shape = [2, 3]
[[layer]]
name = "flat"
type = "Flatten"
[[layer]]
name = "fc"
type = "Linear"
in_features = 36
out_features = 8
bias = false
[[layer]]
name = "plain"
type = "BatchNorm1d"
num_features = 8
affine = false
[[layer]]
name = "sigmoid"
type = "Sigmoid"
[[layer]]
name = "out"
type = "Linear"
in_features = 8
out_features = 4
)";

// One-dimensional windows, recurrent layers.
inline constexpr const char* kSeriesModel = R"(
[model]
name = "series"
input = [3, 24]
[[layer]]
name = "conv"
type = "Conv1d"
in_channels = 3
out_channels = 6
kernel_size = 5
stride = 2
padding = 1
dilation = 2
groups = 3
bias = false
[[layer]]
name = "bn"
type = "BatchNorm1d"
num_features = 6
[[layer]]
name = "max"
type = "MaxPool1d"
kernel_size = 3
stride = 1
padding = 1
[[layer]]
name = "avg"
type = "AvgPool1d"
inputs = ["bn"]
kernel_size = 3
stride = 1
padding = 1
count_include_pad = false
[[layer]]
name = "both"
type = "Concat"
inputs = ["max", "avg"]
[[layer]]
name = "steps"
type = "Permute"
dims = [0, 2, 1]
[[layer]]
name = "gru"
type = "GRU"
input_size = 12
hidden_size = 5
num_layers = 2
bidirectional = true
batch_first = true
[[layer]]
name = "lstm"
type = "LSTM"
input_size = 10
hidden_size = 4
num_layers = 2
bias = false
batch_first = true
[[layer]]
name = "back"
type = "Permute"
dims = [0, 2, 1]
[[layer]]
name = "adaptive"
type = "AdaptiveAvgPool1d"
output_size = 2
[[layer]]
name = "flat"
type = "Flatten"
start_dim = -2
[[layer]]
name = "out"
type = "Linear"
in_features = 8
out_features = 4
)";

// Indices, positions, transformers, an LSTM both ways.
inline constexpr const char* kTextModel = R"(
[model]
name = "text"
input = [12]
[[layer]]
name = "token"
type = "Embedding"
num_embeddings = 256
embedding_dim = 8
padding_idx = 3
[[layer]]
name = "place"
type = "Parameter"
shape = [1, 12, 8]
[[layer]]
name = "sum"
type = "Add"
inputs = ["token", "place"]
[[layer]]
name = "post"
type = "TransformerEncoderLayer"
d_model = 8
nhead = 2
dim_feedforward = 16
dropout = 0.0
batch_first = true
[[layer]]
name = "pre"
type = "TransformerEncoderLayer"
d_model = 8
nhead = 4
dim_feedforward = 12
dropout = 0.0
activation = "gelu"
layer_norm_eps = 0.001
norm_first = true
batch_first = true
[[layer]]
name = "lstm"
type = "LSTM"
input_size = 8
hidden_size = 6
bidirectional = true
batch_first = true
[[layer]]
name = "last"
type = "Select"
dim = 1
index = -1
[[layer]]
name = "mean"
type = "Mean"
inputs = ["pre"]
dim = [1]
[[layer]]
name = "both"
type = "Concat"
inputs = ["last", "mean"]
[[layer]]
name = "out"
type = "Linear"
in_features = 20
out_features = 4
)";

// Attention to itself, and of learnt queries to others.
inline constexpr const char* kAttentionModel = R"(
[model]
name = "attention"
input = [30]
[[layer]]
name = "rows"
type = "Unflatten"
dim = 1
unflattened_size = [5, 6]
[[layer]]
name = "wide"
type = "Linear"
in_features = 6
out_features = 8
[[layer]]
name = "self"
type = "MultiheadAttention"
embed_dim = 8
num_heads = 2
batch_first = true
[[layer]]
name = "query"
type = "Parameter"
shape = [1, 2, 8]
[[layer]]
name = "cross"
type = "MultiheadAttention"
inputs = ["query", "self", "wide"]
embed_dim = 8
num_heads = 4
bias = false
batch_first = true
[[layer]]
name = "mean"
type = "Mean"
dim = 2
keepdim = true
[[layer]]
name = "flat"
type = "Flatten"
[[layer]]
name = "out"
type = "Linear"
in_features = 2
out_features = 4
)";

}  // namespace crowdteach::learning
