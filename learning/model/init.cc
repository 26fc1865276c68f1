#include "learning/model/init.h"

#include <array>
#include <bit>
#include <cmath>
#include <map>

#include "learning/model/safetensors.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/base/digest.h"

namespace crowdteach::learning {
namespace {

class Xoshiro256PlusPlus {
 public:
  Xoshiro256PlusPlus(uint64_t seed, std::string_view tensor_name) {
    std::string key = "crowdteach/v1/init\n";
    base::AppendU64(key, seed);
    key += tensor_name;
    const base::Hash hash = base::Sha256Of(key);
    for (size_t i = 0; i < state_.size(); ++i) state_[i] = base::ReadU64(hash.data() + 8 * i);
  }

  uint64_t Next() {
    const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  std::array<uint64_t, 4> state_;
};

// How one tensor begins: all `constant`, or uniform in [−bound, bound).
struct Start {
  double bound = 0;
  float constant = 0;
};

std::map<std::string, Start> StartsOf(const ModelSpec& spec) {
  std::map<std::string, Start> starts;
  for (const Layer& layer : spec.layers) {
    for (const Parameter& parameter : ParametersOf(layer.arguments)) {
      Start& start = starts[fmt::format("{}.{}", layer.name, parameter.name)];
      if (parameter.fan_in > 0) {
        start.bound = 1.0 / std::sqrt(static_cast<double>(parameter.fan_in));
      } else if (parameter.name == "weight") {
        start.constant = 1;
      }
    }
  }
  return starts;
}

}  // namespace

Status WriteFirstWeights(const std::string& path, const ModelSpec& spec, uint64_t seed) {
  const Layout layout = LayoutOf(spec);
  const std::map<std::string, Start> starts = StartsOf(spec);
  size_t index = 0;
  uint64_t left = 0;  // floats of tensor `index − 1` not yet drawn
  Start start;
  Xoshiro256PlusPlus generator(seed, "");
  return WriteWeights(path, layout, [&](uint64_t, std::span<float> tile) {
    for (float& value : tile) {
      if (left == 0) {
        CT_ASSERT(index < layout.tensors.size());
        const Tensor& tensor = layout.tensors[index++];
        start = starts.at(tensor.name);
        generator = Xoshiro256PlusPlus(seed, tensor.name);
        left = tensor.count;
      }
      --left;
      const double unit = static_cast<double>(generator.Next() >> 40) * 0x1p-23 - 1.0;
      value = start.bound > 0 ? static_cast<float>(unit * start.bound) : start.constant;
    }
    return OkStatus();
  });
}

}  // namespace crowdteach::learning
