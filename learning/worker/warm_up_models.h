// The models that the worker warms up on: every layer type, wide enough that the libraries bother
// to share the work among threads. One takes numbers, the other indices.
#pragma once

#include <string_view>

namespace crowdteach::learning {

inline constexpr std::string_view kWarmUpModels[] = {
    R"(
[model]
name = "warm-up"
input = [2, 16, 16]
[[layer]]
name = "conv"
type = "Conv2d"
in_channels = 2
out_channels = 16
kernel_size = 3
padding = 1
[[layer]]
name = "norm"
type = "GroupNorm"
num_groups = 4
num_channels = 16
[[layer]]
name = "relu"
type = "ReLU"
[[layer]]
name = "conv2"
type = "Conv2d"
in_channels = 16
out_channels = 16
kernel_size = 3
padding = 1
bias = false
[[layer]]
name = "batchnorm"
type = "BatchNorm2d"
num_features = 16
[[layer]]
name = "gelu"
type = "GELU"
[[layer]]
name = "add"
type = "Add"
inputs = ["relu", "gelu"]
[[layer]]
name = "leaky"
type = "LeakyReLU"
[[layer]]
name = "silu"
type = "SiLU"
[[layer]]
name = "max"
type = "MaxPool2d"
kernel_size = 2
[[layer]]
name = "avg"
type = "AvgPool2d"
kernel_size = 2
inputs = ["add"]
[[layer]]
name = "concat"
type = "Concat"
inputs = ["max", "avg"]
[[layer]]
name = "adaptive"
type = "AdaptiveAvgPool2d"
output_size = 4
[[layer]]
name = "flat"
type = "Flatten"
inputs = ["concat"]
[[layer]]
name = "small"
type = "Flatten"
inputs = ["adaptive"]
[[layer]]
name = "both"
type = "Concat"
inputs = ["flat", "small"]
[[layer]]
name = "hidden"
type = "Linear"
in_features = 2560
out_features = 64
[[layer]]
name = "batchnorm1"
type = "BatchNorm1d"
num_features = 64
[[layer]]
name = "tanh"
type = "Tanh"
[[layer]]
name = "drop"
type = "Dropout"
[[layer]]
name = "out"
type = "Linear"
in_features = 64
out_features = 4
)",
    R"(
[model]
name = "warm-up"
input = [2, 16, 16]
[[layer]]
name = "index"
type = "Embedding"
num_embeddings = 256
embedding_dim = 16
[[layer]]
name = "flat"
type = "Flatten"
start_dim = 1
end_dim = 3
[[layer]]
name = "first"
type = "Permute"
dims = [0, 2, 1]
[[layer]]
name = "conv"
type = "Conv1d"
in_channels = 16
out_channels = 32
kernel_size = 3
padding = 1
[[layer]]
name = "batchnorm"
type = "BatchNorm1d"
num_features = 32
[[layer]]
name = "max"
type = "MaxPool1d"
kernel_size = 4
[[layer]]
name = "avg"
type = "AvgPool1d"
kernel_size = 2
[[layer]]
name = "adaptive"
type = "AdaptiveAvgPool1d"
output_size = 32
[[layer]]
name = "steps"
type = "Permute"
dims = [0, 2, 1]
[[layer]]
name = "place"
type = "Parameter"
shape = [1, 32, 32]
[[layer]]
name = "sum"
type = "Add"
inputs = ["steps", "place"]
[[layer]]
name = "lstm"
type = "LSTM"
input_size = 32
hidden_size = 16
num_layers = 2
bidirectional = true
dropout = 0.1
batch_first = true
[[layer]]
name = "gru"
type = "GRU"
input_size = 32
hidden_size = 16
num_layers = 2
bidirectional = true
dropout = 0.1
batch_first = true
[[layer]]
name = "attention"
type = "MultiheadAttention"
embed_dim = 32
num_heads = 4
dropout = 0.1
batch_first = true
[[layer]]
name = "encoder"
type = "TransformerEncoderLayer"
d_model = 32
nhead = 4
dim_feedforward = 64
batch_first = true
[[layer]]
name = "norm"
type = "LayerNorm"
normalized_shape = 32
[[layer]]
name = "halves"
type = "Unflatten"
dim = 2
unflattened_size = [2, 16]
[[layer]]
name = "half"
type = "Select"
dim = 2
index = -1
[[layer]]
name = "sigmoid"
type = "Sigmoid"
[[layer]]
name = "mean"
type = "Mean"
dim = 1
[[layer]]
name = "out"
type = "Linear"
in_features = 16
out_features = 4
)",
};

}  // namespace crowdteach::learning
