// Runs every kind of layer once, forward and backward, on a built-in network, so that Torch and its
// libraries have started their threads and read what they read before the sandbox closes.
#pragma once

#include "proto/base/status.h"

namespace crowdteach::learning {

// kInternal, kUnavailable: this machine's Torch does not work.
Status WarmUp(int threads);

}  // namespace crowdteach::learning
