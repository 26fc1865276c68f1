#include "learning/worker/torch_network.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <torch/version.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "learning/worker/torch_layers.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

// Exceptions stop here. Torch tells running out of memory by the text of a c10::Error only.
Status ToStatus(const std::exception& error, const char* what) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  const std::string text =
      torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
      text.find("allocate memory") != std::string::npos ||
      text.find("out of memory") != std::string::npos ||
      text.find("out_of_memory") != std::string::npos) {
    return ResourceExhausted(
        "out of memory in {}: raise the worker's memory limit, or use a "
        "smaller model or batch ({})",
        what, text);
  }
  return Internal("Torch failed in {}: {}", what, text);
}

template <typename F>
Status Guarded(const char* what, F&& body) {
  try {
    body();
    return OkStatus();
  } catch (const std::exception& error) {
    return ToStatus(error, what);
  }
}

std::vector<int64_t> Signed(const Shape& shape) { return {shape.begin(), shape.end()}; }

}  // namespace

struct TorchNetwork::State {
  ModelSpec spec;
  at::Tensor weights;                    // flat
  at::Tensor gradient;                   // flat
  std::vector<LayerTensors> parameters;  // by layer
  std::vector<size_t> last_use;          // by layer: the layer that reads its output last

  at::Tensor Forward(const at::Tensor& input, bool training) const;
};

Status StartTorch(int threads) {
  return Guarded("starting", [&] {
    at::set_num_threads(threads);
    // Large enough that Torch shares it among all threads, and so starts them.
    at::zeros({int64_t{1 << 18} * threads}, at::kFloat).add_(1.0);
  });
}

void SeedTorch(uint64_t seed) { at::manual_seed(seed); }

const char* TorchVersion() { return TORCH_VERSION; }

TorchNetwork::TorchNetwork(std::unique_ptr<State> state) : state_(std::move(state)) {}
TorchNetwork::~TorchNetwork() = default;

StatusOr<std::unique_ptr<TorchNetwork>> TorchNetwork::Build(const ModelSpec& spec,
                                                            const Layout& layout) {
  auto state = std::make_unique<State>();
  state->spec = spec;
  const Status built = Guarded("making the model", [&] {
    state->weights = at::zeros({static_cast<int64_t>(layout.total)}, at::kFloat);
    state->gradient = at::zeros({static_cast<int64_t>(layout.total)}, at::kFloat);
    const auto view = [](const at::Tensor& flat, const Tensor& tensor) {
      return flat.narrow(0, static_cast<int64_t>(tensor.offset), static_cast<int64_t>(tensor.count))
          .view(Signed(tensor.shape));
    };
    for (const Layer& layer : spec.layers) {
      LayerTensors& own = state->parameters.emplace_back();
      own.trainable = layer.trainable;
      for (const Parameter& parameter : ParametersOf(layer.arguments)) {
        const std::string name = TensorName(layer, parameter);
        const auto found = std::find_if(layout.tensors.begin(), layout.tensors.end(),
                                        [&](const Tensor& tensor) { return tensor.name == name; });
        CT_ASSERT(found != layout.tensors.end());
        // A leaf over the flat storage; autograd adds to a gradient that is already there in place.
        at::Tensor leaf = view(state->weights, *found).detach();
        if (found->trainable) {
          leaf.requires_grad_(true);
          leaf.mutable_grad() = view(state->gradient, *found);
        }
        own.tensors.emplace_back(parameter.name, leaf);
      }
    }
  });
  CT_RETURN_IF_ERROR(built);
  state->last_use.assign(spec.layers.size(), spec.layers.size());
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    for (const int32_t input : spec.layers[i].inputs) {
      if (input != kModelInput) {
        state->last_use[static_cast<size_t>(input)] = i;
      }
    }
  }
  return std::unique_ptr<TorchNetwork>(new TorchNetwork(std::move(state)));
}

std::span<float> TorchNetwork::weights() {
  return {static_cast<float*>(state_->weights.data_ptr()),
          static_cast<size_t>(state_->weights.numel())};
}

std::span<float> TorchNetwork::gradient() {
  return {static_cast<float*>(state_->gradient.data_ptr()),
          static_cast<size_t>(state_->gradient.numel())};
}

at::Tensor TorchNetwork::State::Forward(const at::Tensor& input, bool training) const {
  std::vector<at::Tensor> outputs(spec.layers.size());
  LayerCall call{{}, input.size(0), training};
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    call.inputs.clear();
    for (const int32_t from : spec.layers[i].inputs) {
      call.inputs.push_back(from == kModelInput ? input : outputs[static_cast<size_t>(from)]);
    }
    outputs[i] = ForwardLayer(spec.layers[i].arguments, parameters[i], call);
    for (const int32_t from : spec.layers[i].inputs) {
      if (from != kModelInput && last_use[static_cast<size_t>(from)] == i) {
        outputs[static_cast<size_t>(from)].reset();  // eval mode keeps only what is still needed
      }
    }
  }
  return outputs.back();
}

namespace {

at::Tensor BatchOf(std::span<const float> inputs, const Shape& shape, uint64_t batch) {
  std::vector<int64_t> sizes = Signed(shape);
  sizes.insert(sizes.begin(), static_cast<int64_t>(batch));
  CT_ASSERT(inputs.size() == batch * ElementCount(shape));
  return at::from_blob(const_cast<float*>(inputs.data()), sizes, at::kFloat);
}

void CopyLogits(const at::Tensor& from, std::span<float> to) {
  const at::Tensor flat = from.detach().contiguous();
  CT_ASSERT(static_cast<size_t>(flat.numel()) == to.size());
  std::memcpy(to.data(), flat.data_ptr(), to.size_bytes());
}

}  // namespace

Status TorchNetwork::Logits(std::span<const float> inputs, uint64_t batch,
                            std::span<float> logits) {
  return Guarded("a forward pass", [&] {
    const at::NoGradGuard no_grad;
    CopyLogits(state_->Forward(BatchOf(inputs, state_->spec.input, batch), false), logits);
  });
}

Status TorchNetwork::Backward(std::span<const float> inputs, std::span<const int64_t> labels,
                              double scale, bool training, std::span<float> logits) {
  return Guarded("a backward pass", [&] {
    const at::Tensor targets = at::from_blob(const_cast<int64_t*>(labels.data()),
                                             {static_cast<int64_t>(labels.size())}, at::kLong);
    const at::Tensor out =
        state_->Forward(BatchOf(inputs, state_->spec.input, labels.size()), training);
    CopyLogits(out, logits);
    at::cross_entropy_loss(out, targets, {}, at::Reduction::Sum).mul(scale).backward();
  });
}

}  // namespace crowdteach::learning
