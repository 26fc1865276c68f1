// A model as a folder that PyTorch opens without any software of ours.
//
//   model.toml          the architecture, verbatim
//   model.safetensors   the weights, canonical
//   model.pt            of a model as code only: its TorchScript
//   load_model.py       builds the torch.nn.Module of model.toml and loads the weights into it;
//                       needs Python 3.11 and PyTorch 1.13 or later, nothing else
#pragma once

#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::learning {

// The text of load_model.py: learning/model/load_model.py, built in.
std::string_view LoaderScript();

// Writes the files into `folder`, which is made if it is missing; files of those names are
// replaced. `weights_path` is any safetensors file with the model's tensors; `code_path`, of a
// model as code, its file, verified.
// kInvalidArgument: model or weights are not valid, or do not fit each other; else the errors of
// WriteWeights. Thread-safe for different folders.
Status ExportModel(const std::string& folder, std::string_view model_toml,
                   const std::string& weights_path, const std::string& code_path = {});

}  // namespace crowdteach::learning
