#include "learning/model/layer.h"

#include <fmt/format.h>

#include <algorithm>

namespace crowdteach::learning {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

using Inputs = std::vector<const Shape*>;
using Fault = std::optional<LayerFault>;

template <typename... Parts>
uint64_t Product(Parts... parts) {
  uint64_t product = 1;
  ((product = SaturatingMultiply(product, parts)), ...);
  return product;
}

Fault RequireImage(const Shape& in) {
  if (in.size() == 3) return std::nullopt;
  return LayerFault{"",
                    fmt::format("needs [channels, height, width], but {} arrives", ShapeText(in))};
}

// Output height and width of a window that slides over `in` (a [C, H, W] shape).
Fault Slide(const Shape& in, const Pair& kernel_size, const Pair& stride, const Pair& padding,
            const Pair& dilation, Pair& out) {
  for (size_t axis = 0; axis < 2; ++axis) {
    const uint64_t padded = in[axis + 1] + 2 * padding[axis];
    const uint64_t extent = dilation[axis] * (kernel_size[axis] - 1) + 1;
    if (extent > padded) {
      return LayerFault{"kernel_size", fmt::format("spans {} {}, but the padded input has only {}",
                                                   extent, axis == 0 ? "rows" : "columns", padded)};
    }
    out[axis] = (padded - extent) / stride[axis] + 1;
  }
  return std::nullopt;
}

Fault Infer(const Linear& a, const Shape& in, LayerCost& cost) {
  if (in.size() != 1) {
    return LayerFault{"", fmt::format("needs [features], but {} arrives: put a Flatten before it",
                                      ShapeText(in))};
  }
  if (in[0] != a.in_features) {
    return LayerFault{"in_features",
                      fmt::format("is {}, but {} features arrive", a.in_features, in[0])};
  }
  cost.shape = {a.out_features};
  cost.flops = Product(2, a.in_features, a.out_features);
  return std::nullopt;
}

Fault Infer(const Conv2d& a, const Shape& in, LayerCost& cost) {
  if (Fault fault = RequireImage(in)) return fault;
  if (in[0] != a.in_channels) {
    return LayerFault{"in_channels", fmt::format("is {}, but {} channels arrive (shape {})",
                                                 a.in_channels, in[0], ShapeText(in))};
  }
  if (a.in_channels % a.groups != 0 || a.out_channels % a.groups != 0) {
    return LayerFault{"groups", fmt::format("is {}, which divides not both in_channels {} and "
                                            "out_channels {}",
                                            a.groups, a.in_channels, a.out_channels)};
  }
  Pair out;
  if (Fault fault = Slide(in, a.kernel_size, a.stride, a.padding, a.dilation, out)) return fault;
  cost.shape = {a.out_channels, out[0], out[1]};
  const uint64_t patch = Product(a.kernel_size[0], a.kernel_size[1], out[0], out[1]);
  cost.flops = Product(2, a.in_channels / a.groups, a.out_channels, patch);
  cost.workspace_bytes = Product(sizeof(float), a.in_channels, patch);
  return std::nullopt;
}

Fault Infer(const GroupNorm& a, const Shape& in, LayerCost& cost) {
  if (in[0] != a.num_channels) {
    return LayerFault{"num_channels", fmt::format("is {}, but {} channels arrive (shape {})",
                                                  a.num_channels, in[0], ShapeText(in))};
  }
  if (a.num_channels % a.num_groups != 0) {
    return LayerFault{"num_groups", fmt::format("is {}, which does not divide num_channels {}",
                                                a.num_groups, a.num_channels)};
  }
  if (ElementCount(in) == a.num_groups) {
    return LayerFault{"num_groups", "leaves one value a group, which would always become 0"};
  }
  cost.shape = in;
  cost.flops = Product(8, ElementCount(in));
  return std::nullopt;
}

// torch refuses wider padding: a window could then lie in the padding alone.
Fault CheckPadding(const Pair& kernel_size, const Pair& padding) {
  for (size_t axis = 0; axis < 2; ++axis) {
    if (padding[axis] > kernel_size[axis] / 2) {
      return LayerFault{"padding", fmt::format("is {}, more than half of kernel_size {}",
                                               padding[axis], kernel_size[axis])};
    }
  }
  return std::nullopt;
}

Fault Pool(const Pair& kernel_size, const Pair& stride, const Pair& padding, const Pair& dilation,
           const Shape& in, LayerCost& cost) {
  if (Fault fault = RequireImage(in)) return fault;
  if (Fault fault = CheckPadding(kernel_size, padding)) return fault;
  Pair out;
  if (Fault fault = Slide(in, kernel_size, stride, padding, dilation, out)) return fault;
  cost.shape = {in[0], out[0], out[1]};
  cost.flops = Product(kernel_size[0], kernel_size[1], in[0], out[0], out[1]);
  return std::nullopt;
}

Fault Infer(const MaxPool2d& a, const Shape& in, LayerCost& cost) {
  // With gaps between its taps a window can miss the image, and its maximum is −∞.
  if (a.dilation != Pair{1, 1} && a.padding != Pair{0, 0}) {
    return LayerFault{"dilation", "other than 1 needs padding = 0"};
  }
  return Pool(a.kernel_size, a.stride, a.padding, a.dilation, in, cost);
}

Fault Infer(const AvgPool2d& a, const Shape& in, LayerCost& cost) {
  return Pool(a.kernel_size, a.stride, a.padding, {1, 1}, in, cost);
}

Fault InferAdd(const Inputs& inputs, LayerCost& cost) {
  for (const Shape* in : inputs) {
    if (*in != *inputs[0]) {
      return LayerFault{"inputs", fmt::format("differ in shape: {} and {}", ShapeText(*inputs[0]),
                                              ShapeText(*in))};
    }
  }
  cost.shape = *inputs[0];
  cost.flops = Product(inputs.size() - 1, ElementCount(cost.shape));
  return std::nullopt;
}

Fault InferConcat(const Concat& a, const Inputs& inputs, LayerCost& cost) {
  if (a.dim < 1 || a.dim > inputs[0]->size()) {
    return LayerFault{"dim", fmt::format("is {}, but must be 1 to {} (0 is the batch)", a.dim,
                                         inputs[0]->size())};
  }
  const size_t axis = a.dim - 1;
  Shape sum = *inputs[0];
  for (size_t i = 1; i < inputs.size(); ++i) {
    Shape other = *inputs[i];
    const uint64_t width = axis < other.size() ? other[axis] : 0;
    if (width != 0) other[axis] = sum[axis];
    if (other != sum) {
      return LayerFault{"inputs", fmt::format("do not fit along dim {}: {} and {}", a.dim,
                                              ShapeText(*inputs[0]), ShapeText(*inputs[i]))};
    }
    sum[axis] = SaturatingAdd(sum[axis], width);
  }
  cost.shape = std::move(sum);
  return std::nullopt;
}

Fault Elementwise(uint64_t flops_each, const Shape& in, LayerCost& cost) {
  cost.shape = in;
  cost.flops = Product(flops_each, ElementCount(in));
  return std::nullopt;
}

}  // namespace

std::string_view TypeName(const LayerArguments& arguments) {
  static constexpr std::string_view kNames[] = {"Linear",  "Conv2d",  "GroupNorm", "ReLU",
                                                "GELU",    "Tanh",    "MaxPool2d", "AvgPool2d",
                                                "Flatten", "Dropout", "Add",       "Concat"};
  static_assert(std::size(kNames) == std::variant_size_v<LayerArguments>);
  return kNames[arguments.index()];
}

std::vector<Parameter> ParametersOf(const LayerArguments& arguments) {
  std::vector<Parameter> parameters;
  if (const auto* linear = std::get_if<Linear>(&arguments)) {
    parameters.push_back(
        {"weight", {linear->out_features, linear->in_features}, linear->in_features});
    if (linear->bias) parameters.push_back({"bias", {linear->out_features}, linear->in_features});
  } else if (const auto* conv = std::get_if<Conv2d>(&arguments)) {
    const uint64_t in = conv->in_channels / conv->groups;
    const Pair& kernel = conv->kernel_size;
    const uint64_t fan_in = Product(in, kernel[0], kernel[1]);
    parameters.push_back({"weight", {conv->out_channels, in, kernel[0], kernel[1]}, fan_in});
    if (conv->bias) parameters.push_back({"bias", {conv->out_channels}, fan_in});
  } else if (const auto* norm = std::get_if<GroupNorm>(&arguments); norm && norm->affine) {
    parameters.push_back({"weight", {norm->num_channels}, 0});
    parameters.push_back({"bias", {norm->num_channels}, 0});
  }
  return parameters;
}

Fault InferLayer(const LayerArguments& arguments, const Inputs& inputs, LayerCost& cost) {
  const bool joins =
      std::holds_alternative<Add>(arguments) || std::holds_alternative<Concat>(arguments);
  if (joins ? inputs.size() < 2 : inputs.size() != 1) {
    return LayerFault{"inputs", fmt::format("has {} names, but {} takes {}", inputs.size(),
                                            TypeName(arguments), joins ? "two or more" : "one")};
  }
  const Shape& in = *inputs[0];
  return std::visit(Overloaded{
                        [&](const ReLU&) { return Elementwise(1, in, cost); },
                        [&](const GELU&) { return Elementwise(16, in, cost); },
                        [&](const Tanh&) { return Elementwise(16, in, cost); },
                        [&](const Dropout&) { return Elementwise(1, in, cost); },
                        [&](const Flatten&) {
                          cost.shape = {ElementCount(in)};
                          return Fault{};
                        },
                        [&](const Add&) { return InferAdd(inputs, cost); },
                        [&](const Concat& concat) { return InferConcat(concat, inputs, cost); },
                        [&](const auto& other) { return Infer(other, in, cost); },
                    },
                    arguments);
}

uint64_t SaturatingMultiply(uint64_t a, uint64_t b) {
  uint64_t product;
  return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

uint64_t SaturatingAdd(uint64_t a, uint64_t b) {
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t ElementCount(const Shape& shape) {
  uint64_t count = 1;
  for (const uint64_t dimension : shape) count = SaturatingMultiply(count, dimension);
  return count;
}

std::string ShapeText(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace crowdteach::learning
