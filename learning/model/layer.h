// The closed list of layers a model may have, with torch.nn's names, arguments and defaults.
//
// Shapes are those of one example: no batch dimension, so Conv2d sees [channels, height, width],
// an LSTM [length, features]. Plain values; every function here is pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace crowdteach::learning {

using Shape = std::vector<uint64_t>;

// ---- the layers. A dimension argument (dim, start_dim, …) counts the batch as 0, as in torch, and
// from the end if it is negative; the batch itself is never one.

struct Linear {  // over the last dimension
  uint64_t in_features = 0, out_features = 0;
  bool bias = true;
};

// One figure an axis of the window: [length], or [height, width].
template <size_t kAxes>
using Axes = std::array<uint64_t, kAxes>;
template <size_t kAxes>
constexpr Axes<kAxes> Every(uint64_t value) {
  Axes<kAxes> axes;
  axes.fill(value);
  return axes;
}

template <size_t kAxes>
struct Conv {
  uint64_t in_channels = 0, out_channels = 0;
  Axes<kAxes> kernel_size{}, stride = Every<kAxes>(1), padding{}, dilation = Every<kAxes>(1);
  uint64_t groups = 1;
  bool bias = true;
};
template <size_t kAxes>
struct MaxPool {
  Axes<kAxes> kernel_size{}, stride{}, padding{}, dilation = Every<kAxes>(1);
};  // stride defaults to kernel_size
template <size_t kAxes>
struct AvgPool {
  Axes<kAxes> kernel_size{}, stride{}, padding{};
  bool count_include_pad = true;
};
template <size_t kAxes>
struct AdaptiveAvgPool {
  Axes<kAxes> output_size{};
};
using Conv1d = Conv<1>;
using Conv2d = Conv<2>;
using MaxPool1d = MaxPool<1>;
using MaxPool2d = MaxPool<2>;
using AvgPool1d = AvgPool<1>;
using AvgPool2d = AvgPool<2>;
using AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
using AdaptiveAvgPool2d = AdaptiveAvgPool<2>;

struct GroupNorm {
  uint64_t num_groups = 0, num_channels = 0;
  double eps = 1e-5;
  bool affine = true;
};
struct LayerNorm {
  Shape normalized_shape;
  double eps = 1e-5;
  bool elementwise_affine = true;
};
// Its running mean and variance are statistics (learning/layout.h). Frozen, it uses them in
// training as well.
template <size_t kAxes>
struct BatchNorm {  // kAxes 1: [features] or [channels, length]; 2: [channels, height, width]
  uint64_t num_features = 0;
  double eps = 1e-5, momentum = 0.1;
  bool affine = true;
};
using BatchNorm1d = BatchNorm<1>;
using BatchNorm2d = BatchNorm<2>;

struct ReLU {};
struct LeakyReLU {
  double negative_slope = 0.01;
};
struct GELU {
  bool tanh = false;  // approximate = "tanh"; otherwise "none", the exact one by erf
};
struct SiLU {};
struct Sigmoid {};
struct Tanh {};
struct Dropout {
  double p = 0.5;
};

// Reads the model's input alone, which is then taken raw: whole numbers below num_embeddings.
struct Embedding {
  uint64_t num_embeddings = 0, embedding_dim = 0;
  std::optional<uint64_t> padding_idx;
};
// [length, features] in, the sequence of the last layer's outputs out. batch_first = true.
struct Recurrent {
  uint64_t input_size = 0, hidden_size = 0, num_layers = 1;
  bool bias = true, bidirectional = false;
  double dropout = 0;
};
struct LSTM : Recurrent {};
struct GRU : Recurrent {};
// Inputs: one for query, key and value alike, or these three. Its output is the attended values.
// No mask. batch_first = true.
struct MultiheadAttention {
  uint64_t embed_dim = 0, num_heads = 0;
  double dropout = 0;
  bool bias = true;
};
struct TransformerEncoderLayer {  // no mask; batch_first = true
  uint64_t d_model = 0, nhead = 0, dim_feedforward = 2048;
  double dropout = 0.1, layer_norm_eps = 1e-5;
  bool gelu = false;  // activation = "gelu"; otherwise "relu"
  bool norm_first = false;
};

struct Flatten {
  int64_t start_dim = 1, end_dim = -1;
};
struct Unflatten {
  int64_t dim = 0;
  Shape unflattened_size;
};
struct Permute {  // torch.permute's dims: [0, …]
  std::vector<int64_t> dims;
};
struct Select {  // torch.select: one position along a dimension, which goes
  int64_t dim = 0, index = 0;
};
struct Mean {  // torch.mean over one or more dimensions
  std::vector<int64_t> dim;
  bool keepdim = false;
};
struct Add {};  // the sum of two or more inputs of one shape
struct Concat {
  int64_t dim = 1;  // torch.cat's
};
// A trained tensor of its own, without inputs: positions, a class token. The first dimension of
// `shape` is 1 and stands for the batch; the tensor bears the layer's name, as an nn.Parameter
// does.
struct ParameterLayer {
  Shape shape;
};

using LayerArguments =
    std::variant<Linear, Conv1d, Conv2d, MaxPool1d, MaxPool2d, AvgPool1d, AvgPool2d,
                 AdaptiveAvgPool1d, AdaptiveAvgPool2d, GroupNorm, LayerNorm, BatchNorm1d,
                 BatchNorm2d, ReLU, LeakyReLU, GELU, SiLU, Sigmoid, Tanh, Dropout, Embedding, LSTM,
                 GRU, MultiheadAttention, TransformerEncoderLayer, Flatten, Unflatten, Permute,
                 Select, Mean, Add, Concat, ParameterLayer>;

struct Layer {
  std::string name;  // the module's name in the state_dict; may contain dots
  LayerArguments arguments;
  std::vector<int32_t> inputs;  // indices of earlier layers; kModelInput is the model's input
  bool trainable = true;
  Shape shape;  // of its output
};
inline constexpr int32_t kModelInput = -1;

// "Linear", "Conv2d", …: torch.nn's name.
std::string_view TypeName(const LayerArguments& arguments);

// How a tensor's first values are drawn; see learning/model/init.h.
struct Start {
  enum class Kind { kConstant, kUniform, kNormal };
  Kind kind = Kind::kConstant;
  double scale = 0;                  // the constant, the bound, or the standard deviation
  std::optional<uint64_t> zero_row;  // this row of a table is 0 all the same
};
// A tensor of a layer.
struct Parameter {
  std::string name;  // in the layer's own state_dict: "weight", "self_attn.out_proj.bias"; or ""
  Shape shape;
  Start start;
  bool statistic = false;  // moved by the layer itself in training, not by the optimiser
};
// In the order in which torch takes them.
std::vector<Parameter> ParametersOf(const LayerArguments& arguments);

// What a layer makes of its inputs; all figures for one example and saturating at UINT64_MAX.
struct LayerCost {
  Shape shape;                   // of the output
  uint64_t flops = 0;            // forward; a multiplication and an addition count two
  uint64_t kept_bytes = 0;       // held for the backward pass beside the output: gates, attention
  uint64_t workspace_bytes = 0;  // held for the while only: a convolution's unfolded patches
};
// Why arguments and inputs do not fit: the argument at fault ("" = the layer itself), and how.
struct LayerFault {
  std::string argument;
  std::string message;
};
// Fills `cost`, or says what does not fit.
std::optional<LayerFault> InferLayer(const LayerArguments& arguments,
                                     const std::vector<const Shape*>& inputs, LayerCost& cost);
// The fewest inputs a layer of this type takes: 0, 1, or 2.
size_t FewestInputs(const LayerArguments& arguments);

// Index into an example's shape of a dimension argument, once InferLayer has accepted it.
size_t AxisOf(int64_t dim, size_t rank);

uint64_t SaturatingMultiply(uint64_t a, uint64_t b);
uint64_t SaturatingAdd(uint64_t a, uint64_t b);
uint64_t ElementCount(const Shape& shape);  // saturating; 1 for []
std::string ShapeText(const Shape& shape);  // "[1, 28, 28]"

}  // namespace crowdteach::learning
