#include "proto/base/toml_text.h"

#include <cstdint>
#include <optional>

namespace crowdteach::base {
namespace {

// Takes a character of two bytes or more (RFC 3629) off the front of `text`.
std::optional<uint32_t> TakeCharacter(std::string_view* text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>((*text)[i]); };
  const size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text->size() < length) return std::nullopt;
  uint32_t code = byte(0) & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
    return std::nullopt;
  }
  text->remove_prefix(length);
  return code;
}

// Where in the document we are.
struct Place {
  char quote = '\0';  // the string's, '#' in a comment, 0 elsewhere
  bool triple = false;
  size_t line = 1;
};

// Moves over one ASCII character, or three quotes at once. Returns how many.
size_t Step(std::string_view rest, Place* place) {
  const char c = rest[0];
  if (c == '\n') {
    ++place->line;
    if (!place->triple) place->quote = '\0';  // a string that is not closed is an error anyway
    return 1;
  }
  const bool three = (c == '"' || c == '\'') && rest.substr(0, 3) == std::string(3, c);
  if (place->quote == '\0') {
    if (c != '"' && c != '\'' && c != '#') return 1;
    place->quote = c;
    place->triple = three;
    return three ? 3 : 1;
  }
  if (place->quote == '"' && c == '\\' && rest.size() > 1 && rest[1] != '\n' &&
      static_cast<uint8_t>(rest[1]) < 0x80) {
    return 2;
  }
  if (c != place->quote || c == '#' || (place->triple && !three)) return 1;
  const size_t taken = place->triple ? 3 : 1;
  *place = {.line = place->line};
  return taken;
}

}  // namespace

StatusOr<std::string> AsciiToml(std::string_view text, std::string_view name) {
  std::string ascii;
  ascii.reserve(text.size());
  Place place;
  while (!text.empty()) {
    if (static_cast<uint8_t>(text[0]) < 0x80) {
      const size_t taken = Step(text, &place);
      ascii += text.substr(0, taken);
      text.remove_prefix(taken);
      continue;
    }
    const std::optional<uint32_t> code = TakeCharacter(&text);
    if (!code) return InvalidArgument("{}:{}: this is not UTF-8", name, place.line);
    if (place.quote == '#') {
      ascii += '?';
    } else if (place.quote == '"') {
      ascii += *code <= 0xffff ? fmt::format("\\u{:04X}", *code) : fmt::format("\\U{:08X}", *code);
    } else {
      return InvalidArgument(
          "{}:{}: a character beyond ASCII may stand in a comment or in double quotes only", name,
          place.line);
    }
  }
  return ascii;
}

}  // namespace crowdteach::base
