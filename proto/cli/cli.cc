#include "proto/cli/cli.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>

namespace crowdteach::cli {
namespace {

// A file's name may hold what a terminal would obey.
void PrintError(const CLI::App& app, std::string_view message) {
  std::string text(message);
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return c != '\n' && c != '\t' && (c == 0x7f || (c >= 0 && c < ' ')); }, '?');
  fmt::print(stderr, "{}: {}\n", app.get_name(), text);
}

void AddCompletion(CLI::App& app, Action& action) {
  auto shell = std::make_shared<std::string>("bash");
  CLI::App* completion = app.add_subcommand("completion", "Prints the shell's completion script");
  completion->add_option("shell", *shell, "bash, zsh or fish")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  SetExamples(completion, fmt::format("  source <({} completion bash)\n", app.get_name()));
  completion->callback([&app, shell, &action] {
    action = [&app, shell]() -> StatusOr<int> {
      CT_ASSIGN_OR_RETURN(const std::string script, CompletionScript(app, *shell));
      fmt::print("{}", script);
      return kExitOk;
    };
  });
}

// CLI11 itself says only that a subcommand is required.
bool HasCommand(CLI::App& app, const std::string& name) {
  return !app.get_subcommands([&](CLI::App* command) { return command->get_name() == name; })
              .empty();
}

void AddMan(CLI::App& app, Action& action, const Manual& manual) {
  CLI::App* man = app.add_subcommand("man", "Prints the manual page");
  man->group("");  // for the build, which installs the page
  man->callback([&app, &action, manual] {
    action = [&app, manual]() -> StatusOr<int> {
      fmt::print("{}", ManPage(app, manual));
      return kExitOk;
    };
  });
}

int RunAction(const CLI::App& app, const Action& action) {
  const StatusOr<int> code = action();
  if (code.ok()) return *code;
  PrintError(app, Message(code.status()));
  return ExitCodeOf(code.status());
}

}  // namespace

int Main(CLI::App& app, Action& action, int argc, char** argv, const Manual& manual) {
  AddCompletion(app, action);
  AddMan(app, action, manual);
  app.require_subcommand(1);
  app.set_version_flag("--version", fmt::format("{} {}", app.get_name(), CROWDTEACH_VERSION));
  app.footer(std::string(kExitCodeHelp));
  try {
    if (argc > 1 && argv[1][0] != '-' && !HasCommand(app, argv[1])) {
      PrintError(app,
                 fmt::format("there is no command \"{}\"; see {} --help", argv[1], app.get_name()));
      return kExitUsage;
    }
    app.parse(argc, argv);
    if (!action) {
      PrintError(app, "this command does nothing by itself; see --help");
      return kExitUsage;
    }
    const int code = RunAction(app, action);
    if (std::fflush(stdout) != 0) {
      PrintError(app, "cannot write to standard output");
      return code == kExitOk ? kExitIo : code;
    }
    return code;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  } catch (const std::exception& error) {
    PrintError(app, fmt::format("internal error: {}", error.what()));
    return kExitInternal;
  }
}

void SetExamples(CLI::App* command, std::string_view examples) {
  command->footer(fmt::format("Examples:\n{}", examples));
}

std::string CheckDuration(const std::string& text) {
  const StatusOr<uint64_t> duration = ParseDuration(text);
  return duration.ok() ? std::string() : Message(duration.status());
}

}  // namespace crowdteach::cli
