#include "learning/worker/torch_layers.h"

#include <ATen/ops/adaptive_avg_pool1d.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/add.h>
#include <ATen/ops/avg_pool1d.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/flatten.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/permute.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/select.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>

#include <algorithm>
#include <span>

#include "learning/worker/torch_sequence.h"

namespace crowdteach::learning {
namespace {

std::vector<int64_t> Signed(std::span<const uint64_t> values) {
  return {values.begin(), values.end()};
}

struct Forward {
  const LayerTensors& own;
  const LayerCall& call;

  const at::Tensor& x() const { return call.inputs.front(); }

  at::Tensor operator()(const Linear&) const { return at::linear(x(), own["weight"], own["bias"]); }

  at::Tensor operator()(const Conv1d& a) const {
    return at::conv1d(x(), own["weight"], own["bias"], at::IntArrayRef(Signed(a.stride)),
                      at::IntArrayRef(Signed(a.padding)), at::IntArrayRef(Signed(a.dilation)),
                      static_cast<int64_t>(a.groups));
  }
  at::Tensor operator()(const Conv2d& a) const {
    return at::conv2d(x(), own["weight"], own["bias"], at::IntArrayRef(Signed(a.stride)),
                      at::IntArrayRef(Signed(a.padding)), at::IntArrayRef(Signed(a.dilation)),
                      static_cast<int64_t>(a.groups));
  }
  at::Tensor operator()(const MaxPool1d& a) const {
    return at::max_pool1d(x(), Signed(a.kernel_size), Signed(a.stride), Signed(a.padding),
                          Signed(a.dilation), /*ceil_mode=*/false);
  }
  at::Tensor operator()(const MaxPool2d& a) const {
    return at::max_pool2d(x(), Signed(a.kernel_size), Signed(a.stride), Signed(a.padding),
                          Signed(a.dilation), /*ceil_mode=*/false);
  }
  at::Tensor operator()(const AvgPool1d& a) const {
    return at::avg_pool1d(x(), Signed(a.kernel_size), Signed(a.stride), Signed(a.padding),
                          /*ceil_mode=*/false, a.count_include_pad);
  }
  at::Tensor operator()(const AvgPool2d& a) const {
    return at::avg_pool2d(x(), Signed(a.kernel_size), Signed(a.stride), Signed(a.padding),
                          /*ceil_mode=*/false, a.count_include_pad);
  }
  at::Tensor operator()(const AdaptiveAvgPool1d& a) const {
    return at::adaptive_avg_pool1d(x(), Signed(a.output_size));
  }
  at::Tensor operator()(const AdaptiveAvgPool2d& a) const {
    return at::adaptive_avg_pool2d(x(), Signed(a.output_size));
  }

  at::Tensor operator()(const GroupNorm& a) const {
    return at::group_norm(x(), static_cast<int64_t>(a.num_groups), own["weight"], own["bias"],
                          a.eps, /*cudnn_enabled=*/false);
  }
  at::Tensor operator()(const LayerNorm& a) const {
    return at::layer_norm(x(), Signed(a.normalized_shape), own["weight"], own["bias"], a.eps,
                          /*cudnn_enable=*/false);
  }
  // In eval mode plain arithmetic, which has a gradient with respect to the statistics too; a
  // negative variance gives NaN.
  template <size_t kAxes>
  at::Tensor operator()(const BatchNorm<kAxes>& a) const {
    const at::Tensor mean = own["running_mean"], variance = own["running_var"];
    if (call.training && own.trainable) {
      return at::batch_norm(x(), own["weight"], own["bias"], mean.detach(), variance.detach(),
                            /*training=*/true, a.momentum, a.eps, /*cudnn_enabled=*/false);
    }
    std::vector<int64_t> by_channel(static_cast<size_t>(x().dim()), 1);
    by_channel[1] = static_cast<int64_t>(a.num_features);
    const at::Tensor factor = at::rsqrt(variance.add(a.eps)).view(by_channel);
    const at::Tensor y = x().sub(mean.view(by_channel)).mul(factor);
    if (!a.affine) {
      return y;
    }
    return y.mul(own["weight"].view(by_channel)).add(own["bias"].view(by_channel));
  }

  at::Tensor operator()(const ReLU&) const { return at::relu(x()); }
  at::Tensor operator()(const LeakyReLU& a) const { return at::leaky_relu(x(), a.negative_slope); }
  at::Tensor operator()(const GELU& a) const { return at::gelu(x(), a.tanh ? "tanh" : "none"); }
  at::Tensor operator()(const SiLU&) const { return at::silu(x()); }
  at::Tensor operator()(const Sigmoid&) const { return at::sigmoid(x()); }
  at::Tensor operator()(const Tanh&) const { return at::tanh(x()); }
  at::Tensor operator()(const Dropout& a) const { return at::dropout(x(), a.p, call.training); }

  at::Tensor operator()(const Embedding& a) const { return ForwardEmbedding(a, own, call); }
  at::Tensor operator()(const LSTM& a) const { return ForwardLstm(a, own, call); }
  at::Tensor operator()(const GRU& a) const { return ForwardGru(a, own, call); }
  at::Tensor operator()(const MultiheadAttention& a) const {
    return ForwardAttention(a, own, call);
  }
  at::Tensor operator()(const TransformerEncoderLayer& a) const {
    return ForwardTransformer(a, own, call);
  }

  at::Tensor operator()(const Flatten& a) const { return at::flatten(x(), a.start_dim, a.end_dim); }
  at::Tensor operator()(const Unflatten& a) const {
    std::vector<int64_t> sizes = x().sizes().vec();
    const size_t axis = 1 + AxisOf(a.dim, sizes.size() - 1);
    const auto at = sizes.erase(sizes.begin() + static_cast<ptrdiff_t>(axis));
    sizes.insert(at, a.unflattened_size.begin(), a.unflattened_size.end());
    return x().reshape(sizes);
  }
  at::Tensor operator()(const Permute& a) const { return at::permute(x(), a.dims); }
  at::Tensor operator()(const Select& a) const { return at::select(x(), a.dim, a.index); }
  at::Tensor operator()(const Mean& a) const { return at::mean(x(), a.dim, a.keepdim); }
  at::Tensor operator()(const Add&) const {
    at::Tensor sum = at::add(call.inputs[0], call.inputs[1]);
    for (size_t i = 2; i < call.inputs.size(); ++i) {
      sum = at::add(sum, call.inputs[i]);
    }
    return sum;
  }
  at::Tensor operator()(const Concat& a) const { return at::cat(call.inputs, a.dim); }
  at::Tensor operator()(const ParameterLayer& a) const {
    std::vector<int64_t> sizes = Signed(a.shape);
    sizes[0] = call.batch;
    return own[""].expand(sizes);
  }
};

}  // namespace

at::Tensor LayerTensors::operator[](std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& tensor) { return tensor.first == name; });
  return found == tensors.end() ? at::Tensor() : found->second;
}

at::Tensor ForwardLayer(const LayerArguments& arguments, const LayerTensors& own,
                        const LayerCall& call) {
  return std::visit(Forward{own, call}, arguments);
}

}  // namespace crowdteach::learning
