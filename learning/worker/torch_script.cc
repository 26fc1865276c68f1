// Models as code. The file is foreign: its archive, its pickles and what it computes. It is read
// only in the sandbox, in which it can compute, fill its memory or stall, and nothing else.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/clone.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/python/update_graph_executor_opt.h>
#include <torch/csrc/jit/serialization/import.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "learning/worker/torch_state.h"

namespace crowdteach::learning {
namespace {

// Reads an archive from a descriptor, borrowed.
class DescriptorAdapter : public caffe2::serialize::ReadAdapterInterface {
 public:
  DescriptorAdapter(int fd, uint64_t size_bytes) : fd_(fd), size_bytes_(size_bytes) {}

  size_t size() const override { return size_bytes_; }
  size_t read(uint64_t begin, void* to, size_t count, const char* /*what*/) const override {
    size_t done = 0;
    while (done < count) {
      const ssize_t n =
          pread(fd_, static_cast<char*>(to) + done, count - done, static_cast<off_t>(begin + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;  // the archive's reader finds the end too early
      done += static_cast<size_t>(n);
    }
    return done;
  }

 private:
  const int fd_;
  const uint64_t size_bytes_;
};

[[noreturn]] void Refuse(const std::string& why) { throw std::invalid_argument(why); }

Shape ShapeOf(const at::Tensor& tensor) { return {tensor.sizes().begin(), tensor.sizes().end()}; }

class ScriptState : public NetworkState {
 public:
  ScriptState(const ModelSpec& spec, const Layout& layout, int code_fd)
      : NetworkState(spec, layout) {
    // Interpreted as it stands: no compiler, and the same results in the first run and the tenth.
    torch::jit::setGraphExecutorOptimize(false);
    module_ = torch::jit::load(std::make_unique<DescriptorAdapter>(code_fd, spec.code->size_bytes),
                               at::kCPU);
    std::map<std::string, const Tensor*> wanted;
    for (const Tensor& tensor : layout.tensors) wanted.emplace(tensor.name, &tensor);
    std::map<const void*, std::string> holders;
    const auto take = [&](const std::string& name, at::Tensor tensor, bool is_buffer) {
      if (is_buffer && tensor.scalar_type() != at::kFloat) {
        kept_.emplace_back(tensor, tensor.clone());
        return;
      }
      const auto found = wanted.find(name);
      if (found == wanted.end()) {
        Refuse(fmt::format("it has a tensor '{}', which model.toml does not list", name));
      }
      CheckTensor(*found->second, tensor, is_buffer);
      const auto [holder, first] = holders.emplace(tensor.storage().unsafeGetStorageImpl(), name);
      if (!first) {
        Refuse(fmt::format("its tensors '{}' and '{}' share their values", holder->second, name));
      }
      tensor.requires_grad_(false);
      tensor.set_data(ViewOf(weights, *found->second));
      // Torch's batch_norm has no derivative by its statistics: theirs stays 0.
      if (found->second->trainable && !found->second->statistic) {
        BindGradient(tensor, *found->second);
      }
      wanted.erase(found);
    };
    for (const auto& item : module_.named_parameters()) take(item.name, item.value, false);
    for (const auto& item : module_.named_buffers()) take(item.name, item.value, true);
    if (!wanted.empty()) {
      Refuse(fmt::format("it has no tensor '{}', which model.toml lists", wanted.begin()->first));
    }
  }

  at::Tensor Forward(const at::Tensor& input, bool training) override {
    module_.train(training);
    // A copy: the model may keep it.
    const c10::IValue output = module_.forward({input.clone()});
    const std::vector<int64_t> sizes = {input.size(0), static_cast<int64_t>(spec.classes)};
    if (!output.isTensor() || output.toTensor().scalar_type() != at::kFloat ||
        output.toTensor().sizes() != at::IntArrayRef(sizes)) {
      Refuse(fmt::format("it must give float32 logits, {} for {} examples, and gives {}",
                         ShapeText(Shape(sizes.begin(), sizes.end())), sizes[0],
                         output.isTensor() ? ShapeText(ShapeOf(output.toTensor())) +
                                                 c10::toString(output.toTensor().scalar_type())
                                           : output.tagKind()));
    }
    return output.toTensor();
  }

  void Restart() override {
    const at::NoGradGuard no_grad;
    for (auto& [tensor, first] : kept_) tensor.copy_(first);
  }

 private:
  static void CheckTensor(const Tensor& listed, const at::Tensor& tensor, bool is_buffer) {
    if (tensor.scalar_type() != at::kFloat || tensor.layout() != at::kStrided) {
      Refuse(fmt::format("its tensor '{}' is {}, but must be dense float32", listed.name,
                         c10::toString(tensor.scalar_type())));
    }
    if (ShapeOf(tensor) != listed.shape) {
      Refuse(fmt::format("its tensor '{}' is {}, in model.toml {}", listed.name,
                         ShapeText(ShapeOf(tensor)), ShapeText(listed.shape)));
    }
    if (is_buffer && listed.trainable && !listed.statistic) {
      Refuse(
          fmt::format("its tensor '{}' is a buffer, which no optimiser moves: model.toml must "
                      "say statistic = true or trainable = false",
                      listed.name));
    }
  }

  torch::jit::Module module_;
  std::vector<std::pair<at::Tensor, at::Tensor>> kept_;  // not float32: the tensor, its first value
};

}  // namespace

std::unique_ptr<NetworkState> LoadScript(const ModelSpec& spec, const Layout& layout, int code_fd) {
  return std::make_unique<ScriptState>(spec, layout, code_fd);
}

}  // namespace crowdteach::learning
