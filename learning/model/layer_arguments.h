// The arguments of a [[layer]] table of model.toml, by torch.nn's names and with its defaults.
#pragma once

#include <string_view>

#include "learning/model/argument_reader.h"
#include "learning/model/layer.h"

namespace crowdteach::learning {

// Of a layer of this type; the reader's status tells an unknown type and what is wrong.
LayerArguments ReadLayerArguments(ArgumentReader& reader, std::string_view type);

}  // namespace crowdteach::learning
