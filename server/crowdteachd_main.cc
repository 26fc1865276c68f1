// crowdteachd: the coordinator, and its operator's commands.
#include <cstdlib>

#include "proto/cli/cli.h"
#include "server/commands/commands.h"

int main(int argc, char** argv) {
  namespace server = crowdteach::server;
  // gRPC's own log repeats on standard error what our messages say; whoever sets it sees it.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  CLI::App app("The crowdteach coordinator: runs campaigns, keeps the ledger, pays teachers",
               "crowdteachd");
  crowdteach::cli::Action action;
  server::AddServe(app, action);
  server::AddIssue(app, action);
  server::AddInvite(app, action);
  server::AddExport(app, action);
  server::AddStatus(app, action);
  server::AddAccesses(app, action);
  constexpr crowdteach::cli::Manual kManual{
      8,
      "  /var/lib/crowdteach  The home of the coordinator that the system service runs: keys, "
      "ledger, artifacts\n"
      "  /etc/default/crowdteachd  CROWDTEACHD_OPTIONS=\"…\": more options of serve for the system "
      "service; not there at first\n"};
  return crowdteach::cli::Main(app, action, argc, argv, kManual);
}
