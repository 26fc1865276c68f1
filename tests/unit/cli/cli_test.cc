#include "proto/cli/cli.h"

#include <vector>

#include "tests/support/catch.h"

namespace crowdteach::cli {
namespace {

int Run(std::vector<std::string> words, const StatusOr<int>& result) {
  CLI::App app("For tests", "program");
  Action action;
  CLI::App* verb = app.add_subcommand("act", "Acts");
  int count = 0;
  verb->add_option("--count", count, "How often");
  verb->callback([&] { action = [&] { return result; }; });
  words.insert(words.begin(), "program");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return Main(app, action, static_cast<int>(argv.size()), argv.data());
}

}  // namespace

TEST_CASE("durations") {
  REQUIRE(*ParseDuration("7d") == 7ull * 86'400'000);
  REQUIRE(*ParseDuration("12h") == 12ull * 3'600'000);
  REQUIRE(*ParseDuration("15m") == 900'000);
  REQUIRE(*ParseDuration("90s") == 90'000);
  REQUIRE(*ParseDuration("500ms") == 500);
  for (const char* bad : {"", "7", "d", "0s", "-1s", "1.5h", " 1s", "1s ", "1w", "3654d",
                          "18446744073709551616ms", "99999999999999999d", "1 s"}) {
    INFO(bad);
    REQUIRE(absl::IsInvalidArgument(ParseDuration(bad).status()));
    REQUIRE_FALSE(CheckDuration(bad).empty());
  }
  for (const char* text : {"7d", "36h", "15m", "90s", "1501ms"}) {
    REQUIRE(FormatDuration(*ParseDuration(text)) == text);
  }
}

TEST_CASE("exit codes of the command line") {
  REQUIRE(Run({"act"}, kExitOk) == kExitOk);
  REQUIRE(Run({"act"}, kExitIncomplete) == kExitIncomplete);
  REQUIRE(Run({"--help"}, kExitOk) == kExitOk);
  REQUIRE(Run({"--version"}, kExitOk) == kExitOk);
  REQUIRE(Run({}, kExitOk) == kExitUsage);
  REQUIRE(Run({"fly"}, kExitOk) == kExitUsage);
  REQUIRE(Run({"act", "--count", "x"}, kExitOk) == kExitUsage);
  REQUIRE(Run({"act"}, NotFound("no such file")) == kExitIo);
  REQUIRE(Run({"act"}, FromPeer(NotFound("no such account"))) == kExitRefused);
  REQUIRE(Run({"act"}, FromPeer(Unavailable("gone"))) == kExitUnreachable);
  REQUIRE(Run({"act"}, Internal("oops")) == kExitInternal);
  REQUIRE(Run({"act"}, DataLoss("does not verify")) == kExitDisproved);
}

TEST_CASE("completion names every command and option") {
  CLI::App app("For tests", "crowd-program");
  CLI::App* serve = app.add_subcommand("serve", "Serves");
  std::string home;
  serve->add_option("--home,-H", home, "Where");
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = CompletionScript(app, shell);
    REQUIRE(script.ok());
    INFO(*script);
    REQUIRE(script->find("serve") != std::string::npos);
    REQUIRE(script->find("home") != std::string::npos);
    REQUIRE(script->find("crowd-program") != std::string::npos);
  }
  REQUIRE(absl::IsInvalidArgument(CompletionScript(app, "tcsh").status()));
}

}  // namespace crowdteach::cli
