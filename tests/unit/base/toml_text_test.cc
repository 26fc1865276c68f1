#include "proto/base/toml_text.h"

#include <random>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::base {
namespace {

using crowdteach::testing::Refused;

std::string Ascii(std::string_view text) {
  const auto ascii = AsciiToml(text, "f.toml");
  REQUIRE(ascii.ok());
  return *ascii;
}

TEST_CASE("TOML beyond ASCII becomes escapes and question marks") {
  CHECK(Ascii("a = \"b\" # c\n") == "a = \"b\" # c\n");
  CHECK(Ascii("a = \"Käse\"\n") == "a = \"K\\u00E4se\"\n");
  CHECK(Ascii("a = \"\xF0\x9F\x98\x80\"") == "a = \"\\U0001F600\"");
  CHECK(Ascii("# größer als \"x\na = 1 # →\n") == "# gr??er als \"x\na = 1 # ?\n");
  CHECK(Ascii("a = \"\\\"ä\"") == "a = \"\\\"\\u00E4\"");
  CHECK(Ascii("a = \"#ä\" # ä") == "a = \"#\\u00E4\" # ?");
  CHECK(Ascii("a = '#' # ä") == "a = '#' # ?");
  CHECK(Ascii("a = \"\"\"\nä \" #ä \"\" \"\"\" # ä") ==
        "a = \"\"\"\n\\u00E4 \" #\\u00E4 \"\" \"\"\" # ?");
  CHECK(Ascii("a = '''\n# \" '' ''' # ä") == "a = '''\n# \" '' ''' # ?");
  CHECK(Ascii("a = \"\" # ä") == "a = \"\" # ?");
}

TEST_CASE("TOML beyond ASCII elsewhere is refused with its line") {
  const auto refused = [](std::string_view text, std::string_view why) {
    return Refused(AsciiToml(text, "f.toml"), absl::StatusCode::kInvalidArgument, why);
  };
  CHECK(refused("a = 1\nä = 2\n", "f.toml:2: a character beyond ASCII"));
  CHECK(refused("a = 'ä'", "f.toml:1: a character beyond ASCII"));
  CHECK(refused("a = \"\"\"\n\"\"\"\nb = ä", "f.toml:3:"));
  CHECK(refused("a = \"x\nb = ä", "f.toml:2:"));  // the string ended with its line
  for (const char* bytes : {"\x80", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF",
                            "\xE2\x82", "\xE0\x80\x80"}) {
    CHECK(refused(std::string("# ") + bytes, "f.toml:1: this is not UTF-8"));
  }
}

TEST_CASE("TOML made ASCII is ASCII, and stays as it is then") {
  std::mt19937 random(1);
  const std::string_view parts[] = {"\"", "'", "\"\"\"", "'''", "#", "\n",
                                    "\\", "ä", "→",      "a",   "="};
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (int k = 0; k < 12; ++k) text += parts[random() % std::size(parts)];
    const auto once = AsciiToml(text, "f");
    if (!once.ok()) continue;
    for (const char c : *once) REQUIRE(static_cast<unsigned char>(c) < 0x80);
    INFO(text);
    REQUIRE(Ascii(*once) == *once);
  }
}

}  // namespace
}  // namespace crowdteach::base
