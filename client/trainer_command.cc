#include "client/trainer_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "proto/base/bytes.h"

namespace crowdteach::client {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n'; }

// What stands between `text[begin]`, a quote, and its partner; `begin` then is behind it.
StatusOr<std::string> TakeQuoted(std::string_view text, size_t* begin) {
  const char quote = text[*begin];
  std::string inside;
  for (size_t i = *begin + 1; i < text.size(); ++i) {
    const bool escaped = quote == '"' && text[i] == '\\' && i + 1 < text.size() &&
                         (text[i + 1] == '"' || text[i + 1] == '\\');
    if (escaped) ++i;
    if (!escaped && text[i] == quote) {
      *begin = i + 1;
      return inside;
    }
    inside.push_back(text[i]);
  }
  return InvalidArgument("--trainer: the {} at character {} has no partner", quote, *begin + 1);
}

// One word from `begin` on, which is then behind it.
StatusOr<std::string> TakeWord(std::string_view text, size_t* begin) {
  constexpr std::string_view kShells = "|&;<>()$`";
  std::string word;
  const size_t first = *begin;
  while (*begin < text.size() && !IsSpace(text[*begin])) {
    const char c = text[*begin];
    if (c == '\'' || c == '"') {
      CT_ASSIGN_OR_RETURN(const std::string inside, TakeQuoted(text, begin));
      word += inside;
      continue;
    }
    if (kShells.find(c) != std::string_view::npos || (c == '~' && *begin == first)) {
      return InvalidArgument(
          "--trainer: '{}' at character {} is for a shell, and none runs this; quote it, or write "
          "sh -c '…'",
          c, *begin + 1);
    }
    if (c == '\\' && *begin + 1 < text.size()) ++*begin;
    word.push_back(text[*begin]);
    ++*begin;
  }
  return word;
}

std::string Known(const Placeholders& values) {
  std::string list;
  for (const auto& [name, value] : values) list += fmt::format(" {{{}}}", name);
  return list;
}

Status CheckProgram(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return InvalidArgument("--trainer: {} is a folder", path);
  }
  if (access(path.c_str(), F_OK) != 0) return NotFound("--trainer: there is no program {}", path);
  if (access(path.c_str(), X_OK) != 0) {
    return PermissionDenied("--trainer: {} may not be run; chmod +x it, or name its interpreter",
                            path);
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::vector<std::string>> SplitCommand(std::string_view command) {
  std::vector<std::string> words;
  for (size_t i = 0; i < command.size();) {
    if (IsSpace(command[i])) {
      ++i;
      continue;
    }
    CT_ASSIGN_OR_RETURN(std::string word, TakeWord(command, &i));
    words.push_back(std::move(word));
  }
  if (words.empty() || words[0].empty()) {
    return InvalidArgument("--trainer: there is no program in {}", base::Quoted(command));
  }
  return words;
}

StatusOr<std::string> Substitute(std::string_view word, const Placeholders& values) {
  std::string result;
  for (size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    if (c != '{' && c != '}') {
      result.push_back(c);
      continue;
    }
    if (i + 1 < word.size() && word[i + 1] == c) {
      result.push_back(c);
      ++i;
      continue;
    }
    const size_t end = c == '{' ? word.find('}', i) : std::string_view::npos;
    const std::string_view name =
        end == std::string_view::npos ? "" : word.substr(i + 1, end - i - 1);
    const auto value = values.find(name);
    if (value == values.end()) {
      return InvalidArgument(
          "--trainer: {} has no placeholder at its character {}; there are{}, and {{{{ and }}}} "
          "stand for braces",
          base::Quoted(word), i + 1, Known(values));
    }
    result += value->second;
    i = end;
  }
  return result;
}

StatusOr<std::string> FindProgram(const std::string& word) {
  if (word.find('/') != std::string::npos) {
    std::error_code error;
    const std::string path = std::filesystem::absolute(word, error).string();
    if (error) return ErrnoStatus(error.value(), word);
    CT_RETURN_IF_ERROR(CheckProgram(path));
    return path;
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t colon = std::min(rest.find(':'), rest.size());
    const std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), word);
    if (colon != 0 && CheckProgram(candidate).ok()) return FindProgram(candidate);
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return NotFound("--trainer: there is no program '{}' in PATH; one of this folder is ./{}", word,
                  word);
}

}  // namespace crowdteach::client
