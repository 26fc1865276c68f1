#include "client/trainer_command.h"

#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::client {
namespace {

using absl::StatusCode;
using testing::Refused;
using Words = std::vector<std::string>;

TEST_CASE("A command is split at spaces outside quotes") {
  CHECK(*SplitCommand("./train.py {base} {out}") == Words{"./train.py", "{base}", "{out}"});
  CHECK(*SplitCommand("  a\t b\n") == Words{"a", "b"});
  CHECK(*SplitCommand("a 'b c' \"d e\"") == Words{"a", "b c", "d e"});
  CHECK(*SplitCommand("a '' \"\"") == Words{"a", "", ""});
  CHECK(*SplitCommand("a b'c d'e") == Words{"a", "bc de"});
  CHECK(*SplitCommand(R"(a "b\"c\\d\e" '\"')") == Words{"a", R"(b"c\d\e)", R"(\")"});
  CHECK(*SplitCommand(R"(my\ trainer \'x\')") == Words{"my trainer", "'x'"});
  CHECK(*SplitCommand("sh -c 'a | b > $HOME'") == Words{"sh", "-c", "a | b > $HOME"});
  CHECK(*SplitCommand("a b~c x\\") == Words{"a", "b~c", "x\\"});
}

TEST_CASE("What only a shell understands is refused, and says where it stands") {
  CHECK(Refused(SplitCommand(""), StatusCode::kInvalidArgument, "no program"));
  CHECK(Refused(SplitCommand("  "), StatusCode::kInvalidArgument, "no program"));
  CHECK(Refused(SplitCommand("'' x"), StatusCode::kInvalidArgument, "no program"));
  CHECK(Refused(SplitCommand("a 'b"), StatusCode::kInvalidArgument, "the ' at character 3"));
  CHECK(Refused(SplitCommand("a \"b\\\""), StatusCode::kInvalidArgument, "the \" at character 3"));
  CHECK(Refused(SplitCommand("~/t x"), StatusCode::kInvalidArgument, "'~' at character 1"));
  for (const char c : std::string("|&;<>()$`")) {
    CHECK(Refused(SplitCommand(fmt::format("a b{}", c)), StatusCode::kInvalidArgument,
                  fmt::format("'{}' at character 4", c)));
  }
}

TEST_CASE("Placeholders stay within their word") {
  const Placeholders values = {{"base", "/a b/{out}"}, {"out", "o"}};
  CHECK(*Substitute("{base}", values) == "/a b/{out}");
  CHECK(*Substitute("--x={out},{out}", values) == "--x=o,o");
  CHECK(*Substitute("{{out}} {{}}", values) == "{out} {}");
  CHECK(Substitute("", values)->empty());
  CHECK(Refused(Substitute("x{foo}", values), StatusCode::kInvalidArgument,
                "\"x{foo}\" has no placeholder at its character 2; there are {base} {out}"));
  for (const char* bad : {"{", "}", "{base", "a}b", "{}", "{ base }", "{{}"}) {
    CHECK(Refused(Substitute(bad, values), StatusCode::kInvalidArgument, "no placeholder"));
  }
}

TEST_CASE("A program is a path or a name in PATH") {
  CHECK(*FindProgram("/bin/sh") == "/bin/sh");
  const std::string found = *FindProgram("sh");
  CHECK(found.substr(found.rfind('/')) == "/sh");
  CHECK(Refused(FindProgram("./no-such-program"), StatusCode::kNotFound, "no-such-program"));
  CHECK(Refused(FindProgram("no-such-program"), StatusCode::kNotFound, "./no-such-program"));
  CHECK(Refused(FindProgram("/etc"), StatusCode::kInvalidArgument, "/etc is a folder"));
  CHECK(Refused(FindProgram("/etc/passwd"), StatusCode::kPermissionDenied, "chmod +x"));
}

}  // namespace
}  // namespace crowdteach::client
