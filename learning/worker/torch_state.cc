#include "learning/worker/torch_state.h"

#include <ATen/ops/zeros.h>

#include <new>
#include <string>
#include <string_view>

namespace crowdteach::learning {
namespace {

// TorchScript tells where in the model's source it failed, over many lines, and why in the last.
std::string LastLine(std::string_view text) {
  text = text.substr(0, text.find_last_not_of(" \n") + 1);
  return std::string(text.substr(text.rfind('\n') + 1));  // npos + 1 is 0
}

}  // namespace

NetworkState::NetworkState(const ModelSpec& spec, const Layout& layout)
    : spec(spec),
      weights(at::zeros({static_cast<int64_t>(layout.total)}, at::kFloat)),
      gradient(at::zeros({static_cast<int64_t>(layout.total)}, at::kFloat)) {}

at::Tensor NetworkState::ViewOf(const at::Tensor& flat, const Tensor& tensor) const {
  return flat.narrow(0, static_cast<int64_t>(tensor.offset), static_cast<int64_t>(tensor.count))
      .view(Signed(tensor.shape));
}

void NetworkState::BindGradient(at::Tensor& leaf, const Tensor& tensor) {
  leaf.requires_grad_(true);
  leaf.mutable_grad() = ViewOf(gradient, tensor);
}

std::vector<int64_t> Signed(const Shape& shape) { return {shape.begin(), shape.end()}; }

Status TorchStatus(const std::exception& error, const char* what, bool foreign) {
  // Torch tells running out of memory by the text of a c10::Error only.
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
        what, foreign ? LastLine(text) : text);
  }
  if (foreign) return InvalidArgument("the model's code failed in {}: {}", what, LastLine(text));
  return Internal("Torch failed in {}: {}", what, text);
}

}  // namespace crowdteach::learning
