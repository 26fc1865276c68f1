// What the three programs' command lines share: running a command, errors, exit codes, completion,
// manual pages, durations.
//
// A command module adds its subcommand to the app and, when CLI11 has parsed it, leaves an Action:
//
//   void AddServe(CLI::App& app, cli::Action& action) {
//     auto options = std::make_shared<ServeOptions>();
//     CLI::App* serve = app.add_subcommand("serve", "Runs the coordinator");
//     serve->add_option("--home", options->home, "…")->required();
//     cli::SetExamples(serve, "  crowdteachd serve --home /var/lib/crowdteach\n");
//     serve->callback([options, &action] { action = [options] { return Serve(*options); }; });
//   }
//
// and main is `return cli::Main(app, action, argc, argv);`. Thread-safety: for one thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/bytes.h"
#include "proto/base/duration.h"
#include "proto/base/exit_codes.h"
#include "proto/base/status.h"

namespace crowdteach::cli {

// What a command does. Returns kExitOk or another code of its own (an auditor's verdict); a Status
// is printed and turned into its code by ExitCodeOf.
using Action = std::function<StatusOr<int>()>;

// What a program's manual page says beside its commands.
struct Manual {
  int section = 1;
  std::string_view files;  // lines "  ‹path›  ‹what it is›"
};

// Adds --version, `completion bash|zsh|fish`, a hidden `man` (prints the manual page) and the
// exit-code table to `app`, parses, runs the action and returns the exit code. Help goes to stdout,
// errors to stderr as "‹program›: ‹message›". A wrong command line is kExitUsage. Exceptions stop
// here (kExitInternal).
int Main(CLI::App& app, Action& action, int argc, char** argv, const Manual& manual = {});

// Shows `examples` (lines) under "Examples:" at the end of the command's --help.
void SetExamples(CLI::App* command, std::string_view examples);

// The subcommands of `app` that are not hidden.
std::vector<const CLI::App*> Subcommands(const CLI::App& app);

// The manual page (troff) of `app` with all its commands, from their CLI11 definitions.
std::string ManPage(const CLI::App& app, const Manual& manual);

// The completion script of all commands and options of `app`, from their CLI11 definitions.
// kInvalidArgument: a shell other than bash, zsh, fish.
StatusOr<std::string> CompletionScript(const CLI::App& app, std::string_view shell);

using base::FormatDuration;
using base::ParseDuration;
// A CLI11 check for options that hold a duration.
std::string CheckDuration(const std::string& text);

// A CLI11 check for a number, both ends included. Not CLI::Range: that one lets NaN through, and
// words its refusal differently in each version.
template <typename Number>
CLI::Validator InRange(Number least, Number most) {
  const auto check = [least, most](const std::string& text) -> std::string {
    Number value{};
    const bool is_number = CLI::detail::lexical_cast(text, value);
    if (is_number && value >= least && value <= most) return "";
    return fmt::format("must be {} to {}, not {}", least, most, base::Quoted(text));
  };
  return {check, fmt::format("{} to {}", least, most), "in range"};
}

}  // namespace crowdteach::cli
