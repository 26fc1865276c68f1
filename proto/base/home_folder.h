// Folders of a person's or a coordinator's secrets.
//
// Thread-safety: pure functions.
#pragma once

#include <span>
#include <string>

#include "proto/base/status.h"

namespace crowdteach::base {

// Makes the folder `path` (mode 0700) of a program's secrets, if it is not there, and its parents.
// kInvalidArgument: it is a file, or a folder with things in it and none of `ours` among them: it
// is somebody else's. kPermissionDenied: others may enter it.
Status MakeHome(const std::string& path, std::span<const char* const> ours);

}  // namespace crowdteach::base
