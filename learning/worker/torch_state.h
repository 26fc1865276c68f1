// What TorchNetwork is made of: the flat weights and gradient, and a forward pass over views of
// them. One subclass runs model.toml's layers (torch_network.cc), one TorchScript
// (torch_script.cc).
//
// Not thread-safe. Forward throws what Torch throws; Guarded turns that into a Status.
#pragma once

#include <ATen/core/Tensor.h>

#include <exception>
#include <memory>
#include <vector>

#include "learning/layout.h"
#include "learning/model/model_spec.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

class NetworkState {
 public:
  NetworkState(const ModelSpec& spec, const Layout& layout);  // throws for want of memory
  virtual ~NetworkState() = default;

  virtual at::Tensor Forward(const at::Tensor& input, bool training) = 0;
  virtual void Restart() {}

  const ModelSpec spec;
  at::Tensor weights;   // flat
  at::Tensor gradient;  // flat

 protected:
  // Gives `leaf`, a view of the tensor's weights, its gradient in the flat one, to which autograd
  // adds in place.
  void BindGradient(at::Tensor& leaf, const Tensor& tensor);
  at::Tensor ViewOf(const at::Tensor& flat, const Tensor& tensor) const;
};

std::vector<int64_t> Signed(const Shape& shape);

// Loads a model as code; see TorchNetwork::Load. Throws.
std::unique_ptr<NetworkState> LoadScript(const ModelSpec& spec, const Layout& layout, int code_fd);

// kResourceExhausted, or what else Torch's exception says. `foreign`: the model's code ran, so that
// the fault is its own: kInvalidArgument.
Status TorchStatus(const std::exception& error, const char* what, bool foreign);

template <typename F>
Status Guarded(const char* what, bool foreign, F&& body) {
  try {
    body();
    return OkStatus();
  } catch (const std::exception& error) {
    return TorchStatus(error, what, foreign);
  }
}

}  // namespace crowdteach::learning
