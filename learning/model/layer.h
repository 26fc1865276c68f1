// The closed list of layers a model may have, with torch.nn's names, arguments and defaults.
//
// Shapes are those of one example: no batch dimension, so Conv2d and the pools see [channels,
// height, width] and Linear sees [features]. Plain values; every function here is pure.
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
using Pair = std::array<uint64_t, 2>;  // height, width

struct Linear {
  uint64_t in_features = 0, out_features = 0;
  bool bias = true;
};
struct Conv2d {
  uint64_t in_channels = 0, out_channels = 0;
  Pair kernel_size{}, stride{1, 1}, padding{0, 0}, dilation{1, 1};
  uint64_t groups = 1;
  bool bias = true;
};
struct GroupNorm {
  uint64_t num_groups = 0, num_channels = 0;
  double eps = 1e-5;
  bool affine = true;
};
struct ReLU {};
struct GELU {
  bool tanh = false;  // approximate = "tanh"; otherwise "none", the exact one by erf
};
struct Tanh {};
struct MaxPool2d {
  Pair kernel_size{}, stride{}, padding{0, 0}, dilation{1, 1};  // stride defaults to kernel_size
};
struct AvgPool2d {
  Pair kernel_size{}, stride{}, padding{0, 0};
  bool count_include_pad = true;
};
struct Flatten {};  // start_dim 1, end_dim -1: everything but the batch
struct Dropout {
  double p = 0.5;
};
struct Add {};  // the sum of two or more inputs of one shape
struct Concat {
  uint64_t dim = 1;  // torch.cat's: dimension 0 is the batch, so 1 is channels or features
};

using LayerArguments = std::variant<Linear, Conv2d, GroupNorm, ReLU, GELU, Tanh, MaxPool2d,
                                    AvgPool2d, Flatten, Dropout, Add, Concat>;

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

// A tensor of a layer: "weight" or "bias". `fan_in` is the number of inputs each output is a
// weighted sum of (0 for GroupNorm).
struct Parameter {
  std::string_view name;
  Shape shape;
  uint64_t fan_in = 0;
};
std::vector<Parameter> ParametersOf(const LayerArguments& arguments);

// What a layer makes of its inputs; all figures for one example and saturating at UINT64_MAX.
struct LayerCost {
  Shape shape;                   // of the output
  uint64_t flops = 0;            // forward; a multiplication and an addition count two
  uint64_t workspace_bytes = 0;  // a convolution's unfolded patches
};
// Why arguments and inputs do not fit: the argument at fault ("" = the layer itself), and how.
struct LayerFault {
  std::string argument;
  std::string message;
};
// `inputs` is not empty. Fills `cost`, or says what does not fit.
std::optional<LayerFault> InferLayer(const LayerArguments& arguments,
                                     const std::vector<const Shape*>& inputs, LayerCost& cost);

uint64_t SaturatingMultiply(uint64_t a, uint64_t b);
uint64_t SaturatingAdd(uint64_t a, uint64_t b);
uint64_t ElementCount(const Shape& shape);  // saturating; 1 for []
std::string ShapeText(const Shape& shape);  // "[1, 28, 28]"

}  // namespace crowdteach::learning
