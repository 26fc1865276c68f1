// Small files: bounded reads, durable atomic writes.
//
// Errors are ErrnoStatus's and name the path. Thread-safety: pure functions.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::base {

// kInvalidArgument: longer than `max_bytes`, or a directory (a pipe such as /dev/stdin is
// read too).
StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

// Writes ‹path›‹suffix› with `mode`, fsyncs, renames it over `path` and fsyncs the directory: after
// a crash the file is either the old or the new one, whole. Two processes that may write one file
// at once need suffixes of their own.
Status WriteFileDurably(const std::string& path, std::string_view bytes, mode_t mode,
                        std::string_view suffix = ".tmp");

}  // namespace crowdteach::base
