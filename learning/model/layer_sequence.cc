// Layers of sequences: [length] of indices, or [length, features].
#include <fmt/format.h>

#include <cmath>

#include "learning/model/layer_families.h"

namespace crowdteach::learning {
namespace {

Fault RequireSequence(const char* argument, uint64_t features, const Shape& in) {
  if (in.size() != 2) {
    return LayerFault{"", fmt::format("needs [length, features], but {} arrives", ShapeText(in))};
  }
  if (in[1] != features) {
    return LayerFault{argument, fmt::format("is {}, but {} features arrive (shape {})", features,
                                            in[1], ShapeText(in))};
  }
  return std::nullopt;
}

// `gates`: of an LSTM 4, of a GRU 3.
Fault InferRecurrent(const Recurrent& a, uint64_t gates, const Shape& in, LayerCost& cost) {
  if (Fault fault = RequireSequence("input_size", a.input_size, in)) return fault;
  const uint64_t directions = a.bidirectional ? 2 : 1;
  const uint64_t width = Product(directions, a.hidden_size);
  cost.shape = {in[0], width};
  // A step of one direction: two products with the gates' matrices, and what the gates do.
  const uint64_t rows = Product(gates, a.hidden_size);
  const auto flops = [&](uint64_t arriving) {
    return Product(in[0], directions,
                   Sum(Product(2, rows, Sum(arriving, a.hidden_size)), Product(16, rows)));
  };
  cost.flops = Sum(flops(a.input_size), Product(a.num_layers - 1, flops(width)));
  // Of every step: the gates before and after their activations, cell and output.
  cost.kept_bytes =
      Floats(Product(a.num_layers, in[0], directions, Sum(2 * gates, 3), a.hidden_size));
  return std::nullopt;
}

void AddRecurrent(const Recurrent& a, uint64_t gates, std::vector<Parameter>& parameters) {
  const Start start = UniformByFanIn(a.hidden_size);
  const uint64_t rows = Product(gates, a.hidden_size);
  const uint64_t width = Product(a.bidirectional ? 2 : 1, a.hidden_size);
  for (uint64_t layer = 0; layer < a.num_layers; ++layer) {
    for (const char* direction : {"", "_reverse"}) {
      if (*direction != '\0' && !a.bidirectional) continue;
      const std::string suffix = fmt::format("_l{}{}", layer, direction);
      const uint64_t arriving = layer == 0 ? a.input_size : width;
      parameters.push_back({"weight_ih" + suffix, {rows, arriving}, start});
      parameters.push_back({"weight_hh" + suffix, {rows, a.hidden_size}, start});
      if (!a.bias) continue;
      parameters.push_back({"bias_ih" + suffix, {rows}, start});
      parameters.push_back({"bias_hh" + suffix, {rows}, start});
    }
  }
}

Fault CheckHeads(const char* width_name, const char* heads_name, uint64_t width, uint64_t heads) {
  if (width % heads == 0) return std::nullopt;
  return LayerFault{heads_name,
                    fmt::format("is {}, which does not divide {} {}", heads, width_name, width)};
}

// Attention from `queries` places to `keys`, projections included.
void AddAttentionCost(uint64_t queries, uint64_t keys, uint64_t width, uint64_t heads,
                      LayerCost& cost) {
  const uint64_t places = Product(2, Sum(queries, keys));  // query and output, key and value
  const uint64_t weights = Product(heads, queries, keys);
  cost.flops = Sum(cost.flops, Product(2, places, width, width), Product(4, queries, keys, width),
                   Product(8, weights));
  cost.kept_bytes = Sum(cost.kept_bytes, Floats(Sum(Product(places, width), Product(3, weights))));
}

void AddAttention(const std::string& prefix, uint64_t width, bool bias,
                  std::vector<Parameter>& parameters) {
  // Xavier's uniform rule over the stacked [3·width, width] matrix, as nn.MultiheadAttention.
  const Start stacked{
      Start::Kind::kUniform, std::sqrt(6.0 / (4.0 * static_cast<double>(width))), {}};
  const uint64_t rows = Product(3, width);
  parameters.push_back({prefix + "in_proj_weight", {rows, width}, stacked});
  if (bias) parameters.push_back({prefix + "in_proj_bias", {rows}, Constant(0)});
  parameters.push_back({prefix + "out_proj.weight", {width, width}, UniformByFanIn(width)});
  if (bias) parameters.push_back({prefix + "out_proj.bias", {width}, Constant(0)});
}

}  // namespace

Fault Infer(const Embedding& a, const Shape& in, LayerCost& cost) {
  cost.shape = in;
  cost.shape.push_back(a.embedding_dim);
  cost.flops = ElementCount(cost.shape);
  cost.kept_bytes = Product(sizeof(int64_t), ElementCount(in));
  return std::nullopt;
}

void AddParameters(const Embedding& a, std::vector<Parameter>& parameters) {
  parameters.push_back(
      {"weight", {a.num_embeddings, a.embedding_dim}, {Start::Kind::kNormal, 1.0, a.padding_idx}});
}

Fault Infer(const LSTM& a, const Shape& in, LayerCost& cost) {
  return InferRecurrent(a, 4, in, cost);
}
Fault Infer(const GRU& a, const Shape& in, LayerCost& cost) {
  return InferRecurrent(a, 3, in, cost);
}
void AddParameters(const LSTM& a, std::vector<Parameter>& parameters) {
  AddRecurrent(a, 4, parameters);
}
void AddParameters(const GRU& a, std::vector<Parameter>& parameters) {
  AddRecurrent(a, 3, parameters);
}

Fault Infer(const MultiheadAttention& a, const Inputs& inputs, LayerCost& cost) {
  for (const Shape* in : inputs) {
    if (Fault fault = RequireSequence("embed_dim", a.embed_dim, *in)) return fault;
  }
  if (*inputs[inputs.size() / 2] != *inputs.back()) {
    return LayerFault{"inputs", fmt::format("key and value differ in shape: {} and {}",
                                            ShapeText(*inputs[1]), ShapeText(*inputs[2]))};
  }
  if (Fault fault = CheckHeads("embed_dim", "num_heads", a.embed_dim, a.num_heads)) return fault;
  cost.shape = *inputs[0];
  AddAttentionCost((*inputs[0])[0], (*inputs.back())[0], a.embed_dim, a.num_heads, cost);
  return std::nullopt;
}

void AddParameters(const MultiheadAttention& a, std::vector<Parameter>& parameters) {
  AddAttention("", a.embed_dim, a.bias, parameters);
}

Fault Infer(const TransformerEncoderLayer& a, const Shape& in, LayerCost& cost) {
  if (Fault fault = RequireSequence("d_model", a.d_model, in)) return fault;
  if (Fault fault = CheckHeads("d_model", "nhead", a.d_model, a.nhead)) return fault;
  if (a.d_model == 1) return LayerFault{"d_model", "is 1, which LayerNorm would always make 0"};
  cost.shape = in;
  AddAttentionCost(in[0], in[0], a.d_model, a.nhead, cost);
  const uint64_t wide = Product(in[0], a.dim_feedforward);
  cost.flops =
      Sum(cost.flops, Product(4, wide, a.d_model), Product(8, wide), Product(20, ElementCount(in)));
  // Both norms, both sums, and the wide part before and after activation and dropout.
  cost.kept_bytes =
      Sum(cost.kept_bytes, Floats(Sum(Product(4, ElementCount(in)), Product(3, wide))));
  return std::nullopt;
}

void AddParameters(const TransformerEncoderLayer& a, std::vector<Parameter>& parameters) {
  AddAttention("self_attn.", a.d_model, true, parameters);
  const auto add_linear = [&](const std::string& name, uint64_t in, uint64_t out) {
    parameters.push_back({name + ".weight", {out, in}, UniformByFanIn(in)});
    parameters.push_back({name + ".bias", {out}, UniformByFanIn(in)});
  };
  add_linear("linear1", a.d_model, a.dim_feedforward);
  add_linear("linear2", a.dim_feedforward, a.d_model);
  for (const char* name : {"norm1", "norm2"}) {
    parameters.push_back({std::string(name) + ".weight", {a.d_model}, Constant(1)});
    parameters.push_back({std::string(name) + ".bias", {a.d_model}, Constant(0)});
  }
}

}  // namespace crowdteach::learning
