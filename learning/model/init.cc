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

std::map<std::string, Start> StartsOf(const ModelSpec& spec) {
  std::map<std::string, Start> starts;
  for (const Layer& layer : spec.layers) {
    for (const Parameter& parameter : ParametersOf(layer.arguments)) {
      starts[TensorName(layer, parameter)] = parameter.start;
    }
  }
  if (!spec.code) return starts;
  for (const Tensor& tensor : spec.code->tensors) {
    const double fan_in = static_cast<double>(tensor.count) / static_cast<double>(tensor.shape[0]);
    starts[tensor.name] = tensor.statistic
                              ? Start{.scale = 1}
                              : Start{Start::Kind::kUniform, 1 / std::sqrt(fan_in), {}};
  }
  return starts;
}

double UniformDraw(Xoshiro256PlusPlus& generator) {
  return static_cast<double>(generator.Next() >> 40) * 0x1p-23 - 1.0;
}

// Of variance 1, and near enough normal: half the sum of twelve draws of variance 1/3.
double NormalDraw(Xoshiro256PlusPlus& generator) {
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += UniformDraw(generator);
  return sum / 2;
}

float Draw(const Start& start, Xoshiro256PlusPlus& generator) {
  switch (start.kind) {
    case Start::Kind::kUniform:
      return static_cast<float>(UniformDraw(generator) * start.scale);
    case Start::Kind::kNormal:
      return static_cast<float>(NormalDraw(generator) * start.scale);
    case Start::Kind::kConstant:
      break;
  }
  return static_cast<float>(start.scale);
}

}  // namespace

Status WriteFirstWeights(const std::string& path, const ModelSpec& spec, uint64_t seed) {
  const Layout layout = LayoutOf(spec);
  const std::map<std::string, Start> starts = StartsOf(spec);
  size_t index = 0;
  uint64_t at = 0;  // in tensor `index`
  const Start* start = nullptr;
  Xoshiro256PlusPlus generator(seed, "");
  return WriteWeights(path, layout, [&](uint64_t, std::span<float> tile) {
    for (float& value : tile) {
      CT_ASSERT(index < layout.tensors.size());
      const Tensor& tensor = layout.tensors[index];
      if (at == 0) {
        start = &starts.at(tensor.name);
        generator = Xoshiro256PlusPlus(seed, tensor.name);
      }
      value = Draw(*start, generator);
      if (start->zero_row && at / tensor.shape.back() == *start->zero_row) value = 0;
      if (++at == tensor.count) {
        ++index;
        at = 0;
      }
    }
    return OkStatus();
  });
}

}  // namespace crowdteach::learning
