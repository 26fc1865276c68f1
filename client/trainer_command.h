// The command line of one's own training program, as `crowdteach teach --trainer` takes it. There
// is no shell: words are split once, and what stands for a placeholder stays one word, so a path
// may have spaces.
//
// Thread-safety: pure functions, but for FindProgram, which looks at files.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"

namespace crowdteach::client {

// The placeholders' names and values, e.g. "base" → "/home/…/base.safetensors".
using Placeholders = std::map<std::string, std::string, std::less<>>;

// Splits at spaces; '…' holds anything, "…" too with \" and \\ inside, \ outside quotes the next
// character. kInvalidArgument: nothing there, a quote without end, or a character that only a
// shell understands (| & ; < > ( ) $ ` and ~ in front), outside quotes.
StatusOr<std::vector<std::string>> SplitCommand(std::string_view command);

// `word` with each {name} replaced; {{ and }} stand for { and }. kInvalidArgument: an unknown name
// (the message lists those there are) or a lone brace.
StatusOr<std::string> Substitute(std::string_view word, const Placeholders& values);

// The absolute path of the program that `word` names: a path, or a name to be looked for in PATH.
// kNotFound, kPermissionDenied (not executable), kInvalidArgument (a folder).
StatusOr<std::string> FindProgram(const std::string& word);

}  // namespace crowdteach::client
