// TOML text, made safe for toml++, which runs into undefined behaviour on some characters beyond
// ASCII. Pure.
#pragma once

#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::base {

// The same document in ASCII, line by line: beyond it, a character in a "string" becomes its escape
// (\uXXXX), and one in a comment '?'. kInvalidArgument, "‹name›:‹line›: …": bytes that are not
// UTF-8, or such a character anywhere else. What is no TOML stays so.
StatusOr<std::string> AsciiToml(std::string_view text, std::string_view name);

}  // namespace crowdteach::base
