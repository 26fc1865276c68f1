#include "learning/worker/torch_sequence.h"

#include <ATen/ops/add.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gru.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <tuple>

namespace crowdteach::learning {
namespace {

std::vector<at::Tensor> WeightsOf(const LayerTensors& own) {
  std::vector<at::Tensor> weights;
  for (const auto& [name, tensor] : own.tensors) {
    weights.push_back(tensor);
  }
  return weights;
}

// The state in which every recurrent layer and direction begins.
at::Tensor FirstState(const Recurrent& a, const LayerCall& call) {
  const auto states = static_cast<int64_t>(a.num_layers * (a.bidirectional ? 2 : 1));
  return at::zeros({states, call.batch, static_cast<int64_t>(a.hidden_size)}, at::kFloat);
}

struct AttentionTensors {
  at::Tensor in_weight, in_bias, out_weight, out_bias;
};

AttentionTensors AttentionTensorsOf(const LayerTensors& own, const std::string& prefix) {
  return {own[prefix + "in_proj_weight"], own[prefix + "in_proj_bias"],
          own[prefix + "out_proj.weight"], own[prefix + "out_proj.bias"]};
}

// [batch, length, width] -> [batch, heads, length, width / heads], through the stacked
// projection's part `index` (0 query, 1 key, 2 value).
at::Tensor Project(const at::Tensor& x, const AttentionTensors& own, int64_t index, int64_t heads) {
  const int64_t width = x.size(2);
  const auto part = [&](const at::Tensor& stacked) {
    return stacked.defined() ? stacked.narrow(0, index * width, width) : stacked;
  };
  return at::linear(x, part(own.in_weight), part(own.in_bias))
      .reshape({x.size(0), x.size(1), heads, width / heads})
      .transpose(1, 2);
}

// Scaled dot-product attention (Vaswani et al. 2017).
at::Tensor Attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                  const AttentionTensors& own, int64_t heads, double dropout, bool training) {
  const at::Tensor q = Project(query, own, 0, heads), k = Project(key, own, 1, heads),
                   v = Project(value, own, 2, heads);
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
  const at::Tensor weights =
      at::dropout(at::softmax(at::matmul(q.mul(scale), k.transpose(2, 3)), -1), dropout, training);
  const at::Tensor attended = at::matmul(weights, v).transpose(1, 2).reshape(query.sizes());
  return at::linear(attended, own.out_weight, own.out_bias);
}

}  // namespace

at::Tensor ForwardEmbedding(const Embedding& a, const LayerTensors& own, const LayerCall& call) {
  const int64_t padding = a.padding_idx ? static_cast<int64_t>(*a.padding_idx) : -1;
  return at::embedding(own["weight"], call.inputs[0].to(at::kLong), padding);
}

at::Tensor ForwardLstm(const LSTM& a, const LayerTensors& own, const LayerCall& call) {
  const at::Tensor state = FirstState(a, call);
  return std::get<0>(at::lstm(call.inputs[0], {state, state}, WeightsOf(own), a.bias,
                              static_cast<int64_t>(a.num_layers), a.dropout, call.training,
                              a.bidirectional, /*batch_first=*/true));
}

at::Tensor ForwardGru(const GRU& a, const LayerTensors& own, const LayerCall& call) {
  return std::get<0>(at::gru(call.inputs[0], FirstState(a, call), WeightsOf(own), a.bias,
                             static_cast<int64_t>(a.num_layers), a.dropout, call.training,
                             a.bidirectional, /*batch_first=*/true));
}

at::Tensor ForwardAttention(const MultiheadAttention& a, const LayerTensors& own,
                            const LayerCall& call) {
  const std::vector<at::Tensor>& in = call.inputs;
  const bool self = in.size() == 1;
  return Attend(in[0], self ? in[0] : in[1], self ? in[0] : in[2], AttentionTensorsOf(own, ""),
                static_cast<int64_t>(a.num_heads), a.dropout, call.training);
}

at::Tensor ForwardTransformer(const TransformerEncoderLayer& a, const LayerTensors& own,
                              const LayerCall& call) {
  const auto drop = [&](const at::Tensor& x) { return at::dropout(x, a.dropout, call.training); };
  const auto norm = [&](const char* name, const at::Tensor& x) {
    const std::string prefix = name;
    return at::layer_norm(x, {static_cast<int64_t>(a.d_model)}, own[prefix + ".weight"],
                          own[prefix + ".bias"], a.layer_norm_eps, /*cudnn_enable=*/false);
  };
  const auto attend = [&](const at::Tensor& x) {
    return drop(Attend(x, x, x, AttentionTensorsOf(own, "self_attn."),
                       static_cast<int64_t>(a.nhead), a.dropout, call.training));
  };
  const auto feed_forward = [&](const at::Tensor& x) {
    const at::Tensor wide = at::linear(x, own["linear1.weight"], own["linear1.bias"]);
    const at::Tensor active = drop(a.gelu ? at::gelu(wide) : at::relu(wide));
    return drop(at::linear(active, own["linear2.weight"], own["linear2.bias"]));
  };
  const at::Tensor& x = call.inputs[0];
  if (a.norm_first) {
    const at::Tensor attended = at::add(x, attend(norm("norm1", x)));
    return at::add(attended, feed_forward(norm("norm2", attended)));
  }
  const at::Tensor attended = norm("norm1", at::add(x, attend(x)));
  return norm("norm2", at::add(attended, feed_forward(attended)));
}

}  // namespace crowdteach::learning
