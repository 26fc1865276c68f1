// The subcommands of crowdteachd. Each Add… declares one to CLI11 and leaves its Action when chosen
// (proto/cli/cli.h).
#pragma once

#include "proto/cli/cli.h"

namespace crowdteach::server {

void AddServe(CLI::App& app, cli::Action& action);  // runs the coordinator
void AddIssue(CLI::App& app, cli::Action& action);  // the rest: to a running coordinator
void AddInvite(CLI::App& app, cli::Action& action);
void AddExport(CLI::App& app, cli::Action& action);
void AddStatus(CLI::App& app, cli::Action& action);
void AddAccesses(CLI::App& app, cli::Action& action);  // reads the home

}  // namespace crowdteach::server
