// What layer.cc joins from the files of each family of layers; included by layer*.cc only.
#pragma once

#include <optional>
#include <vector>

#include "learning/model/layer.h"

namespace crowdteach::learning {

using Inputs = std::vector<const Shape*>;
using Fault = std::optional<LayerFault>;

template <typename... Parts>
uint64_t Product(Parts... parts) {
  uint64_t product = 1;
  ((product = SaturatingMultiply(product, parts)), ...);
  return product;
}
template <typename... Parts>
uint64_t Sum(Parts... parts) {
  uint64_t sum = 0;
  ((sum = SaturatingAdd(sum, parts)), ...);
  return sum;
}
inline uint64_t Floats(uint64_t count) { return SaturatingMultiply(sizeof(float), count); }

// PyTorch's default: U(−b, b), b = 1/√fan_in.
Start UniformByFanIn(uint64_t fan_in);
inline Start Constant(double value) { return {Start::Kind::kConstant, value, {}}; }

// For one that takes no dimension (the batch included), or one that is not there.
Fault CheckDim(const char* argument, int64_t dim, size_t rank);

// layer.cc
Fault Infer(const Linear& a, const Shape& in, LayerCost& cost);
void AddParameters(const Linear& a, std::vector<Parameter>& parameters);

// layer_conv.cc
template <size_t kAxes>
Fault Infer(const Conv<kAxes>& a, const Shape& in, LayerCost& cost);
template <size_t kAxes>
Fault Infer(const MaxPool<kAxes>& a, const Shape& in, LayerCost& cost);
template <size_t kAxes>
Fault Infer(const AvgPool<kAxes>& a, const Shape& in, LayerCost& cost);
template <size_t kAxes>
Fault Infer(const AdaptiveAvgPool<kAxes>& a, const Shape& in, LayerCost& cost);
template <size_t kAxes>
void AddParameters(const Conv<kAxes>& a, std::vector<Parameter>& parameters);

// layer_norm.cc
Fault Infer(const GroupNorm& a, const Shape& in, LayerCost& cost);
Fault Infer(const LayerNorm& a, const Shape& in, LayerCost& cost);
template <size_t kAxes>
Fault Infer(const BatchNorm<kAxes>& a, const Shape& in, LayerCost& cost);
void AddParameters(const GroupNorm& a, std::vector<Parameter>& parameters);
void AddParameters(const LayerNorm& a, std::vector<Parameter>& parameters);
template <size_t kAxes>
void AddParameters(const BatchNorm<kAxes>& a, std::vector<Parameter>& parameters);

// layer_sequence.cc
Fault Infer(const Embedding& a, const Shape& in, LayerCost& cost);
Fault Infer(const LSTM& a, const Shape& in, LayerCost& cost);
Fault Infer(const GRU& a, const Shape& in, LayerCost& cost);
Fault Infer(const MultiheadAttention& a, const Inputs& inputs, LayerCost& cost);
Fault Infer(const TransformerEncoderLayer& a, const Shape& in, LayerCost& cost);
void AddParameters(const Embedding& a, std::vector<Parameter>& parameters);
void AddParameters(const LSTM& a, std::vector<Parameter>& parameters);
void AddParameters(const GRU& a, std::vector<Parameter>& parameters);
void AddParameters(const MultiheadAttention& a, std::vector<Parameter>& parameters);
void AddParameters(const TransformerEncoderLayer& a, std::vector<Parameter>& parameters);

// layer_shape.cc
Fault Infer(const Flatten& a, const Shape& in, LayerCost& cost);
Fault Infer(const Unflatten& a, const Shape& in, LayerCost& cost);
Fault Infer(const Permute& a, const Shape& in, LayerCost& cost);
Fault Infer(const Select& a, const Shape& in, LayerCost& cost);
Fault Infer(const Mean& a, const Shape& in, LayerCost& cost);
Fault Infer(const Add& a, const Inputs& inputs, LayerCost& cost);
Fault Infer(const Concat& a, const Inputs& inputs, LayerCost& cost);
Fault Infer(const ParameterLayer& a, const Inputs& inputs, LayerCost& cost);
void AddParameters(const ParameterLayer& a, std::vector<Parameter>& parameters);

}  // namespace crowdteach::learning
