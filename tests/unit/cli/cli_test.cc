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
  REQUIRE(Run({"man"}, kExitOk) == kExitOk);
  REQUIRE(Run({}, kExitOk) == kExitUsage);
  REQUIRE(Run({"fly"}, kExitOk) == kExitUsage);
  REQUIRE(Run({"act", "--count", "x"}, kExitOk) == kExitUsage);
  REQUIRE(Run({"act"}, NotFound("no such file")) == kExitIo);
  REQUIRE(Run({"act"}, FromPeer(NotFound("no such account"))) == kExitRefused);
  REQUIRE(Run({"act"}, FromPeer(Unavailable("gone"))) == kExitUnreachable);
  REQUIRE(Run({"act"}, Internal("oops")) == kExitInternal);
  REQUIRE(Run({"act"}, DataLoss("does not verify")) == kExitDisproved);
}

namespace {

// A program with what the real ones use: a required option, a flag, arguments, a group, examples.
void AddCommands(CLI::App& app, Action& action) {
  static std::string home, folder = "here";
  static std::vector<std::string> files;
  static bool loud = false;
  CLI::App* serve = app.add_subcommand("serve", "Serves");
  serve->add_option("--home,-H", home, "Where")->required()->type_name("DIR");
  serve->add_option("--other-folder", folder, "Where else")->capture_default_str();
  serve->add_flag("--loud", loud, "Says more")->group("Demonstration");
  CLI::App* check = app.add_subcommand("check", "Checks");
  check->add_option("file", files, ".What to check\n.so /etc/passwd \\n")->required();
  SetExamples(check, "  crowd-program check a.txt\n  .crowd-program\n");
  check->callback([&action] { action = [] { return kExitOk; }; });
  app.add_subcommand("secret", "Is for the build")->group("");
}

std::vector<std::string> NamesOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : Subcommands(app)) {
    names.push_back(command->get_name());
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
      for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    }
  }
  return names;
}

}  // namespace

TEST_CASE("completion names every command and option") {
  CLI::App app("For tests", "crowd-program");
  Action action;
  AddCommands(app, action);
  REQUIRE(NamesOf(app).size() == 10);
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = CompletionScript(app, shell);
    REQUIRE(script.ok());
    INFO(*script);
    for (const std::string& name : NamesOf(app)) {
      const bool dashes = name.starts_with("-") && std::string(shell) == "fish";
      REQUIRE(script->find(dashes ? name.substr(name.find_first_not_of('-')) : name) !=
              std::string::npos);
    }
    REQUIRE(script->find("crowd-program") != std::string::npos);
    REQUIRE(script->find("secret") == std::string::npos);
  }
  REQUIRE(absl::IsInvalidArgument(CompletionScript(app, "tcsh").status()));
}

TEST_CASE("the manual page names every command and option, and nothing in it is an instruction") {
  CLI::App app("For tests", "crowd-program");
  Action action;
  AddCommands(app, action);
  const std::string page = ManPage(app, {8, "  ~/.crowd  The home\n"});
  INFO(page);
  REQUIRE(page.starts_with(".TH CROWD\\-PROGRAM 8 "));
  for (std::string name : NamesOf(app)) {
    for (size_t at = 0; (at = name.find('-', at)) != std::string::npos; at += 2) {
      name.insert(at, "\\");
    }
    REQUIRE(page.find(name) != std::string::npos);
  }
  REQUIRE(page.find("secret") == std::string::npos);
  REQUIRE(page.find("\\fB\\-H\\fR, \\fB\\-\\-home\\fR \\fIDIR\\fR\nWhere (required)\n") !=
          std::string::npos);
  REQUIRE(page.find("Where else [here]\n") != std::string::npos);
  REQUIRE(page.find("\\fBcrowd\\-program check\\fR [\\fIOPTIONS\\fR] \\fIfile\\fR\n") !=
          std::string::npos);
  REQUIRE(page.find("\n\\&.What to check\n\\&.so /etc/passwd \\en (required)\n") !=
          std::string::npos);
  REQUIRE(page.find(".nf\n  crowd\\-program check a.txt\n  .crowd\\-program\n.fi\n") !=
          std::string::npos);
  REQUIRE(page.find(".TP\n\\fB8\\fR\nthe log was forked or rolled back\n") != std::string::npos);
  REQUIRE(page.find(".TP\n\\fB~/.crowd\\fR\nThe home\n") != std::string::npos);
  REQUIRE(page.find(".BR crowdteachd (8)\n") != std::string::npos);
}

}  // namespace crowdteach::cli
