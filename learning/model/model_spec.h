// A model is data, not code: model.toml, checked and measured before anything is allocated.
//
//   [model]
//   name  = "tiny"               # 1-80 printable ASCII characters
//   input = [1, 28, 28]          # the shape of one example, 1 to 4 dimensions
//   loss  = "cross-entropy"      # the only one; may be left out
//
//   [[layer]]                    # in order: a layer's inputs stand before it
//   name = "flat"                # the module's name in the PyTorch state_dict
//   type = "Flatten"             # a torch.nn class of learning/model/layer.h
//
//   [[layer]]
//   name = "fc"
//   type = "Linear"              # … and its arguments, by torch.nn's names
//   in_features = 784
//   out_features = 10
//   inputs = ["flat"]            # default: the layer before; "input" is the model's input
//   trainable = true             # false: part of the model, not of an update; a BatchNorm's
//                                # running mean and variance then stay as they are
//
// The last layer's output is the logits: its width is the number of classes. Every other layer
// must be used by a later one.
//
// The escape hatch is a model as code, a TorchScript file with the same tensors, for programs that
// were told to run one (ModelRunner, --allow-model-code):
//
//   [model]
//   name  = "mine"
//   input = [1, 28, 28]
//   kind  = "code"               # "layers" otherwise
//   classes    = 10
//   code       = "‹64 hex›"      # blob digest of the file, kind code (proto/base/digest.h)
//   code_bytes = 48211
//
//   [[tensor]]                   # each float32 parameter and buffer of the module, in any order
//   name  = "fc.weight"
//   shape = [10, 784]
//   trainable = true             # false: part of the model, not of an update
//   statistic = false            # true: a buffer that the module itself moves in training
//
// Thread-safety: plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "learning/layout.h"
#include "learning/model/layer.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

struct ModelLimits {
  uint64_t text_bytes = 32 << 10;
  uint64_t layers = 1000;
  uint64_t parameters = uint64_t{1} << 31;
  uint64_t activation_bytes = uint64_t{1} << 30;  // per example
  uint64_t flops = 1'000'000'000'000;             // per example, forward
  uint64_t code_bytes = uint64_t{1} << 30;
};

// The name of a model's TorchScript file, beside its model.toml.
inline constexpr std::string_view kCodeFileName = "model.pt";

// A TorchScript file that computes the logits: foreign code, so nothing is known about its cost.
struct ModelCode {
  base::Hash digest{};  // of the file, BlobKind::kCode
  uint64_t size_bytes = 0;
  std::vector<Tensor> tensors;  // as they stand; offsets are LayoutOf's
};

struct ModelSpec {
  std::string name;
  Shape input;
  uint64_t classes = 0;
  std::vector<Layer> layers;  // in evaluation order; empty with code
  std::optional<ModelCode> code;

  uint64_t parameters = 0;  // floats in all, frozen ones included
  // Not 0: an Embedding reads the input, so it is taken raw, and holds whole numbers below this.
  uint64_t index_limit = 0;
  // What a training forward pass keeps for one example: the input, every layer's output, what
  // layers hold for the backward pass besides, and the largest workspace. With code: the input.
  uint64_t activation_bytes = 0;
  uint64_t flops = 0;  // of one example's forward pass; 0 with code
};

// kInvalidArgument: not TOML, an unknown or missing key, a value of the wrong type or range, shapes
// that do not fit, a duplicate name, an input that is no earlier layer, a layer nobody uses,
// nothing to train. kResourceExhausted: a limit is passed.
// The message reads "model.toml:‹line›: layer '‹name›': ‹argument› …". Nothing throws.
StatusOr<ModelSpec> ParseModelSpec(std::string_view toml, const ModelLimits& limits = {});

// A tensor's name in the state_dict: "‹layer›.weight", or "‹layer›" for a Parameter.
std::string TensorName(const Layer& layer, const Parameter& parameter);

// The code of a model that may be one; none of anything else, a text that is no model included.
std::optional<ModelCode> ModelCodeOf(std::string_view toml);

// kInvalidArgument: the model is code, and it is not `allowed` here.
Status CheckCodeAllowed(const ModelSpec& spec, bool allowed);

// The canonical flat layout: all tensors, sorted byte-wise by name.
Layout LayoutOf(const ModelSpec& spec);

}  // namespace crowdteach::learning
