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
#include <string>
#include <utility>
#include <vector>

#include "learning/worker/torch_layers.h"
#include "learning/worker/torch_state.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

// model.toml's layers, one by one.
class LayerState : public NetworkState {
 public:
  LayerState(const ModelSpec& spec, const Layout& layout);
  at::Tensor Forward(const at::Tensor& input, bool training) override;

 private:
  std::vector<LayerTensors> parameters_;  // by layer
  std::vector<size_t> last_use_;          // by layer: the layer that reads its output last
};

LayerState::LayerState(const ModelSpec& of, const Layout& layout) : NetworkState(of, layout) {
  for (const Layer& layer : spec.layers) {
    LayerTensors& own = parameters_.emplace_back();
    own.trainable = layer.trainable;
    for (const Parameter& parameter : ParametersOf(layer.arguments)) {
      const std::string name = TensorName(layer, parameter);
      const auto found = std::find_if(layout.tensors.begin(), layout.tensors.end(),
                                      [&](const Tensor& tensor) { return tensor.name == name; });
      CT_ASSERT(found != layout.tensors.end());
      at::Tensor leaf = ViewOf(weights, *found).detach();
      if (found->trainable) BindGradient(leaf, *found);
      own.tensors.emplace_back(parameter.name, leaf);
    }
  }
  last_use_.assign(spec.layers.size(), spec.layers.size());
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    for (const int32_t input : spec.layers[i].inputs) {
      if (input != kModelInput) last_use_[static_cast<size_t>(input)] = i;
    }
  }
}

at::Tensor LayerState::Forward(const at::Tensor& input, bool training) {
  std::vector<at::Tensor> outputs(spec.layers.size());
  LayerCall call{{}, input.size(0), training};
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    call.inputs.clear();
    for (const int32_t from : spec.layers[i].inputs) {
      call.inputs.push_back(from == kModelInput ? input : outputs[static_cast<size_t>(from)]);
    }
    outputs[i] = ForwardLayer(spec.layers[i].arguments, parameters_[i], call);
    for (const int32_t from : spec.layers[i].inputs) {
      if (from != kModelInput && last_use_[static_cast<size_t>(from)] == i) {
        outputs[static_cast<size_t>(from)].reset();  // eval mode keeps only what is still needed
      }
    }
  }
  return outputs.back();
}

}  // namespace

Status StartTorch(int threads) {
  return Guarded("starting", false, [&] {
    at::set_num_threads(threads);
    at::set_num_interop_threads(1);  // for what a model as code forks
    // Large enough that Torch shares it among all threads, and so starts them.
    at::zeros({int64_t{1 << 18} * threads}, at::kFloat).add_(1.0);
  });
}

void SeedTorch(uint64_t seed) { at::manual_seed(seed); }

const char* TorchVersion() { return TORCH_VERSION; }

TorchNetwork::TorchNetwork(std::unique_ptr<NetworkState> state) : state_(std::move(state)) {}
TorchNetwork::~TorchNetwork() = default;

StatusOr<std::unique_ptr<TorchNetwork>> TorchNetwork::Build(const ModelSpec& spec,
                                                            const Layout& layout) {
  std::unique_ptr<NetworkState> state;
  CT_RETURN_IF_ERROR(Guarded("making the model", false,
                             [&] { state = std::make_unique<LayerState>(spec, layout); }));
  return std::unique_ptr<TorchNetwork>(new TorchNetwork(std::move(state)));
}

StatusOr<std::unique_ptr<TorchNetwork>> TorchNetwork::Load(const ModelSpec& spec,
                                                           const Layout& layout, int code_fd) {
  std::unique_ptr<NetworkState> state;
  CT_RETURN_IF_ERROR(Guarded("loading", true, [&] { state = LoadScript(spec, layout, code_fd); }));
  return std::unique_ptr<TorchNetwork>(new TorchNetwork(std::move(state)));
}

void TorchNetwork::Restart() { state_->Restart(); }

std::span<float> TorchNetwork::weights() {
  return {static_cast<float*>(state_->weights.data_ptr()),
          static_cast<size_t>(state_->weights.numel())};
}

std::span<float> TorchNetwork::gradient() {
  return {static_cast<float*>(state_->gradient.data_ptr()),
          static_cast<size_t>(state_->gradient.numel())};
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
  return Guarded("a forward pass", state_->spec.code.has_value(), [&] {
    const at::NoGradGuard no_grad;
    CopyLogits(state_->Forward(BatchOf(inputs, state_->spec.input, batch), false), logits);
  });
}

Status TorchNetwork::Backward(std::span<const float> inputs, std::span<const int64_t> labels,
                              double scale, bool training, std::span<float> logits) {
  return Guarded("a backward pass", state_->spec.code.has_value(), [&] {
    const at::Tensor targets = at::from_blob(const_cast<int64_t*>(labels.data()),
                                             {static_cast<int64_t>(labels.size())}, at::kLong);
    const at::Tensor out =
        state_->Forward(BatchOf(inputs, state_->spec.input, labels.size()), training);
    CopyLogits(out, logits);
    at::cross_entropy_loss(out, targets, {}, at::Reduction::Sum).mul(scale).backward();
  });
}

}  // namespace crowdteach::learning
