#include "learning/worker/torch_layers.h"

#include <ATen/ops/add.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/flatten.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>

#include <array>

namespace crowdteach::learning {
namespace {

std::array<int64_t, 2> Signed(const Pair& pair) {
  return {static_cast<int64_t>(pair[0]), static_cast<int64_t>(pair[1])};
}

// An undefined tensor stands for an absent one.
struct Forward {
  const LayerTensors& own;
  const std::vector<at::Tensor>& inputs;
  bool training;

  const at::Tensor& x() const { return inputs.front(); }

  at::Tensor operator()(const Linear&) const { return at::linear(x(), own.weight, own.bias); }
  at::Tensor operator()(const Conv2d& conv) const {
    return at::conv2d(x(), own.weight, own.bias, at::IntArrayRef(Signed(conv.stride)),
                      at::IntArrayRef(Signed(conv.padding)), at::IntArrayRef(Signed(conv.dilation)),
                      static_cast<int64_t>(conv.groups));
  }
  at::Tensor operator()(const GroupNorm& norm) const {
    return at::group_norm(x(), static_cast<int64_t>(norm.num_groups), own.weight, own.bias,
                          norm.eps, /*cudnn_enabled=*/false);
  }
  at::Tensor operator()(const ReLU&) const { return at::relu(x()); }
  at::Tensor operator()(const GELU& gelu) const {
    return at::gelu(x(), gelu.tanh ? "tanh" : "none");
  }
  at::Tensor operator()(const Tanh&) const { return at::tanh(x()); }
  at::Tensor operator()(const MaxPool2d& pool) const {
    return at::max_pool2d(x(), Signed(pool.kernel_size), Signed(pool.stride), Signed(pool.padding),
                          Signed(pool.dilation), /*ceil_mode=*/false);
  }
  at::Tensor operator()(const AvgPool2d& pool) const {
    return at::avg_pool2d(x(), Signed(pool.kernel_size), Signed(pool.stride), Signed(pool.padding),
                          /*ceil_mode=*/false, pool.count_include_pad);
  }
  at::Tensor operator()(const Flatten&) const { return at::flatten(x(), 1, -1); }
  at::Tensor operator()(const Dropout& dropout) const {
    return at::dropout(x(), dropout.p, training);
  }
  at::Tensor operator()(const Add&) const {
    at::Tensor sum = at::add(inputs[0], inputs[1]);
    for (size_t i = 2; i < inputs.size(); ++i) {
      sum = at::add(sum, inputs[i]);
    }
    return sum;
  }
  at::Tensor operator()(const Concat& concat) const {
    return at::cat(inputs, static_cast<int64_t>(concat.dim));
  }
};

}  // namespace

at::Tensor ForwardLayer(const LayerArguments& arguments, const LayerTensors& parameters,
                        const std::vector<at::Tensor>& inputs, bool training) {
  return std::visit(Forward{parameters, inputs, training}, arguments);
}

}  // namespace crowdteach::learning
