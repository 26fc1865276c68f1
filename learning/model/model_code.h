// The part of model.toml that describes a model as code; see model_spec.h for the keys. Internal.
#pragma once

#include <toml++/toml.h>

#include "learning/model/argument_reader.h"
#include "learning/model/model_spec.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

// Fills spec.code, classes and parameters from the keys of [model], which `model` reads, and from
// the [[tensor]] tables of `root`. Errors as ParseModelSpec.
Status ReadModelCode(ArgumentReader& model, const toml::table& root, const ModelLimits& limits,
                     ModelSpec& spec);

}  // namespace crowdteach::learning
