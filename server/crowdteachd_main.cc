// crowdteachd: the coordinator, and its operator's commands.
#include "proto/cli/cli.h"
#include "server/commands/commands.h"

int main(int argc, char** argv) {
  namespace server = crowdteach::server;
  CLI::App app("The crowdteach coordinator: runs campaigns, keeps the ledger, pays teachers",
               "crowdteachd");
  crowdteach::cli::Action action;
  server::AddServe(app, action);
  server::AddIssue(app, action);
  server::AddInvite(app, action);
  server::AddExport(app, action);
  server::AddStatus(app, action);
  return crowdteach::cli::Main(app, action, argc, argv);
}
