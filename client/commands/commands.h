// The commands of the program crowdteach. Each adds its subcommand; when it was chosen, `action`
// runs it (proto/cli/cli.h).
#pragma once

#include <CLI/CLI.hpp>

#include "proto/cli/cli.h"

namespace crowdteach::client {

void AddKeygen(CLI::App& app, cli::Action& action);
void AddModel(CLI::App& app, cli::Action& action);
void AddCheckData(CLI::App& app, cli::Action& action);
void AddTeach(CLI::App& app, cli::Action& action);
void AddJoin(CLI::App& app, cli::Action& action);
void AddLaunch(CLI::App& app, cli::Action& action);
void AddWatch(CLI::App& app, cli::Action& action);
void AddClose(CLI::App& app, cli::Action& action);
void AddStatus(CLI::App& app, cli::Action& action);
void AddWallet(CLI::App& app, cli::Action& action);
void AddReceipts(CLI::App& app, cli::Action& action);

}  // namespace crowdteach::client
