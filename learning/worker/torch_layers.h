// One layer's forward pass, by torch.nn's functional forms. Includes Torch: torch_* files only.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "learning/model/layer.h"

namespace crowdteach::learning {

// A layer's own tensors, in the order of ParametersOf.
struct LayerTensors {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  bool trainable = true;

  // Undefined where the layer has none, which torch takes for an absent one.
  at::Tensor operator[](std::string_view name) const;
};

struct LayerCall {
  std::vector<at::Tensor> inputs;  // with the batch in front
  int64_t batch = 0;
  bool training = false;
};

// Throws what Torch throws. In training a trainable BatchNorm updates its statistics.
at::Tensor ForwardLayer(const LayerArguments& arguments, const LayerTensors& own,
                        const LayerCall& call);

}  // namespace crowdteach::learning
