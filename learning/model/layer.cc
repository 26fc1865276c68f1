#include "learning/model/layer.h"

#include <fmt/format.h>

#include <cmath>
#include <type_traits>

#include "learning/model/layer_families.h"

namespace crowdteach::learning {
namespace {

Fault Elementwise(uint64_t flops_each, const Shape& in, LayerCost& cost) {
  cost.shape = in;
  cost.flops = Product(flops_each, ElementCount(in));
  return std::nullopt;
}
Fault Infer(const ReLU&, const Shape& in, LayerCost& cost) { return Elementwise(1, in, cost); }
Fault Infer(const LeakyReLU&, const Shape& in, LayerCost& cost) { return Elementwise(2, in, cost); }
Fault Infer(const GELU&, const Shape& in, LayerCost& cost) { return Elementwise(16, in, cost); }
Fault Infer(const SiLU&, const Shape& in, LayerCost& cost) { return Elementwise(16, in, cost); }
Fault Infer(const Sigmoid&, const Shape& in, LayerCost& cost) { return Elementwise(16, in, cost); }
Fault Infer(const Tanh&, const Shape& in, LayerCost& cost) { return Elementwise(16, in, cost); }
Fault Infer(const Dropout&, const Shape& in, LayerCost& cost) { return Elementwise(1, in, cost); }

// How many inputs a layer may name.
struct InputCount {
  size_t fewest = 1, most = 1;
  std::string_view text = "one";
};

InputCount InputCountOf(const LayerArguments& arguments) {
  if (std::holds_alternative<Add>(arguments) || std::holds_alternative<Concat>(arguments)) {
    return {2, SIZE_MAX, "two or more"};
  }
  if (std::holds_alternative<ParameterLayer>(arguments)) return {0, 0, "none"};
  if (std::holds_alternative<MultiheadAttention>(arguments)) {
    return {1, 3, "one, or query, key and value"};
  }
  return {};
}

}  // namespace

Start UniformByFanIn(uint64_t fan_in) {
  return {Start::Kind::kUniform, 1.0 / std::sqrt(static_cast<double>(fan_in)), {}};
}

size_t AxisOf(int64_t dim, size_t rank) {
  return static_cast<size_t>(dim < 0 ? dim + static_cast<int64_t>(rank) : dim - 1);
}

Fault CheckDim(const char* argument, int64_t dim, size_t rank) {
  const auto last = static_cast<int64_t>(rank);
  if ((dim >= 1 && dim <= last) || (dim <= -1 && dim >= -last)) return std::nullopt;
  return LayerFault{argument, fmt::format("is {}, but must be 1 to {}, or -1 to -{} from the end "
                                          "(0 is the batch)",
                                          dim, last, last)};
}

Fault Infer(const Linear& a, const Shape& in, LayerCost& cost) {
  if (in.back() != a.in_features) {
    if (in.size() == 1) {
      return LayerFault{"in_features",
                        fmt::format("is {}, but {} features arrive", a.in_features, in[0])};
    }
    return LayerFault{
        "in_features",
        fmt::format("is {}, but the last dimension of {} is {}{}", a.in_features, ShapeText(in),
                    in.back(),
                    ElementCount(in) == a.in_features ? ": put a Flatten before it" : "")};
  }
  cost.shape = in;
  cost.shape.back() = a.out_features;
  cost.flops = Product(2, ElementCount(in), a.out_features);
  return std::nullopt;
}

void AddParameters(const Linear& a, std::vector<Parameter>& parameters) {
  const Start start = UniformByFanIn(a.in_features);
  parameters.push_back({"weight", {a.out_features, a.in_features}, start});
  if (a.bias) parameters.push_back({"bias", {a.out_features}, start});
}

std::string_view TypeName(const LayerArguments& arguments) {
  static constexpr std::string_view kNames[] = {"Linear",
                                                "Conv1d",
                                                "Conv2d",
                                                "MaxPool1d",
                                                "MaxPool2d",
                                                "AvgPool1d",
                                                "AvgPool2d",
                                                "AdaptiveAvgPool1d",
                                                "AdaptiveAvgPool2d",
                                                "GroupNorm",
                                                "LayerNorm",
                                                "BatchNorm1d",
                                                "BatchNorm2d",
                                                "ReLU",
                                                "LeakyReLU",
                                                "GELU",
                                                "SiLU",
                                                "Sigmoid",
                                                "Tanh",
                                                "Dropout",
                                                "Embedding",
                                                "LSTM",
                                                "GRU",
                                                "MultiheadAttention",
                                                "TransformerEncoderLayer",
                                                "Flatten",
                                                "Unflatten",
                                                "Permute",
                                                "Select",
                                                "Mean",
                                                "Add",
                                                "Concat",
                                                "Parameter"};
  static_assert(std::size(kNames) == std::variant_size_v<LayerArguments>);
  return kNames[arguments.index()];
}

std::vector<Parameter> ParametersOf(const LayerArguments& arguments) {
  std::vector<Parameter> parameters;
  std::visit(
      [&](const auto& layer) {
        if constexpr (requires { AddParameters(layer, parameters); }) {
          AddParameters(layer, parameters);
        }
      },
      arguments);
  return parameters;
}

size_t FewestInputs(const LayerArguments& arguments) { return InputCountOf(arguments).fewest; }

Fault InferLayer(const LayerArguments& arguments, const Inputs& inputs, LayerCost& cost) {
  const InputCount count = InputCountOf(arguments);
  if (inputs.size() < count.fewest || inputs.size() > count.most ||
      (count.most == 3 && inputs.size() == 2)) {
    return LayerFault{"inputs", fmt::format("has {} names, but {} takes {}", inputs.size(),
                                            TypeName(arguments), count.text)};
  }
  return std::visit(
      [&](const auto& layer) {
        if constexpr (requires { Infer(layer, inputs, cost); }) {
          return Infer(layer, inputs, cost);
        } else {
          return Infer(layer, *inputs[0], cost);
        }
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
