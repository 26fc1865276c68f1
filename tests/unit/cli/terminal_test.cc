#include "proto/cli/terminal.h"

#include <cstdlib>

#include "tests/support/catch.h"

namespace crowdteach::cli {

TEST_CASE("ASCII for terminals that take no more") {
  REQUIRE(ToAscii("score +0.1 ± 0.2 nats") == "score +0.1 +- 0.2 nats");
  REQUIRE(ToAscii("“a” ▁█ φ") == "\"a\" 18 phi");
  REQUIRE(ToAscii("naïve 漢") == "na?ve ?");
  REQUIRE(ToAscii("") == "");
  REQUIRE(ToAscii("\xc2") == "?");  // cut short
}

TEST_CASE("A line is cut between characters") {
  REQUIRE(Fit("abc", 5) == "abc");
  REQUIRE(Fit("abc", 3) == "abc");
  REQUIRE(Fit("abc", 2) == "ab");
  REQUIRE(Fit("a±c", 2) == "a±");
  REQUIRE(Fit("abc", 0) == "");
  REQUIRE(Fit("abc", -1) == "");
}

TEST_CASE("Bars") {
  REQUIRE(Bar(0, 10, 4) == "[....]");
  REQUIRE(Bar(9, 10, 4) == "[###.]");
  REQUIRE(Bar(10, 10, 4) == "[####]");
  REQUIRE(Bar(11, 10, 4) == "[####]");
  REQUIRE(Bar(0, 0, 4) == "[....]");
}

TEST_CASE("The locale's character set, by the first variable that is set") {
  const auto utf8 = [](const char* all, const char* type, const char* lang) {
    setenv("LC_ALL", all, 1);
    setenv("LC_CTYPE", type, 1);
    setenv("LANG", lang, 1);
    return IsUtf8();
  };
  REQUIRE(utf8("", "", "en_GB.UTF-8"));
  REQUIRE(utf8("C.utf8", "C", "C"));
  REQUIRE_FALSE(utf8("C", "C.UTF-8", "C.UTF-8"));
  REQUIRE_FALSE(utf8("", "", ""));
  REQUIRE_FALSE(utf8("", "de_DE.ISO-8859-1", "C.UTF-8"));
}

}  // namespace crowdteach::cli
