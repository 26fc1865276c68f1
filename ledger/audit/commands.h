// crowdteach-audit's subcommands; each leaves its Action (proto/cli/cli.h).
#pragma once

#include <string>

#include "proto/cli/cli.h"

namespace crowdteach::audit {

void AddVerify(CLI::App& app, cli::Action& action);
void AddShow(CLI::App& app, cli::Action& action);
void AddReport(CLI::App& app, cli::Action& action);
void AddReceipt(CLI::App& app, cli::Action& action);
void AddStatement(CLI::App& app, cli::Action& action);
void AddFetch(CLI::App& app, cli::Action& action);  // only in the program: it needs HTTP

// --key. Not required of CLI11, so that PinnedKey can say why it is needed.
void AddKeyOption(CLI::App* command, std::string& key);

}  // namespace crowdteach::audit
