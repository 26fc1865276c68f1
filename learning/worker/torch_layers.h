// One layer's forward pass, by torch.nn's functional forms. Includes Torch: torch_* files only.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "learning/model/layer.h"

namespace crowdteach::learning {

struct LayerTensors {
  at::Tensor weight, bias;  // undefined where the layer has none
};

// `inputs` carry the batch in front. Throws what Torch throws.
at::Tensor ForwardLayer(const LayerArguments& arguments, const LayerTensors& parameters,
                        const std::vector<at::Tensor>& inputs, bool training);

}  // namespace crowdteach::learning
