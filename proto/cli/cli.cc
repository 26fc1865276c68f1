#include "proto/cli/cli.h"

#include <charconv>
#include <cstdio>
#include <exception>
#include <memory>
#include <system_error>

namespace crowdteach::cli {
namespace {

struct Unit {
  std::string_view name;
  uint64_t ms;
};
// Longest first for printing; parsing takes the whole suffix.
constexpr Unit kUnits[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr uint64_t kMaxDurationMs = uint64_t{3653} * 86'400'000;

void PrintError(const CLI::App& app, std::string_view message) {
  fmt::print(stderr, "{}: {}\n", app.get_name(), message);
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

int RunAction(const CLI::App& app, const Action& action) {
  const StatusOr<int> code = action();
  if (code.ok()) return *code;
  PrintError(app, Message(code.status()));
  return ExitCodeOf(code.status());
}

}  // namespace

int Main(CLI::App& app, Action& action, int argc, char** argv) {
  AddCompletion(app, action);
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

StatusOr<uint64_t> ParseDuration(std::string_view text) {
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  for (const Unit& unit : kUnits) {
    if (error != std::errc() || suffix != unit.name) continue;
    if (count == 0 || count > kMaxDurationMs / unit.ms) break;
    return count * unit.ms;
  }
  return InvalidArgument(
      "\"{}\" is not a duration: write a whole number from 1 and a unit, like 7d, 12h, 15m, 90s or "
      "500ms (ten years at most)",
      text.substr(0, 40));
}

std::string FormatDuration(uint64_t duration_ms) {
  for (const Unit& unit : kUnits) {
    if (duration_ms % unit.ms == 0) return fmt::format("{}{}", duration_ms / unit.ms, unit.name);
  }
  return {};  // not reached: every number is a multiple of 1 ms
}

std::string CheckDuration(const std::string& text) {
  const StatusOr<uint64_t> duration = ParseDuration(text);
  return duration.ok() ? std::string() : Message(duration.status());
}

}  // namespace crowdteach::cli
