// The file of a model as code, from the coordinator.
#pragma once

#include <string>

#include "client/home.h"
#include "client/session.h"
#include "learning/model/model_spec.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// Fetches and verifies it into the home; its path. Empty: the model is no code. As
// Session::Download.
StatusOr<std::string> FetchModelCode(Session* session, Home* home, const learning::ModelSpec& spec);

}  // namespace crowdteach::client
