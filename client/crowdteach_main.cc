// crowdteach: the program of data owners and model owners.
#include <CLI/CLI.hpp>
#include <cstdlib>

#include "client/commands/commands.h"

int main(int argc, char** argv) {
  // gRPC's own log repeats on standard error what our messages say; whoever sets it sees it.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  CLI::App app{"Teach a model with data that stays with you, or launch a campaign that is taught",
               "crowdteach"};
  crowdteach::cli::Action action;
  crowdteach::client::AddCheckData(app, action);
  crowdteach::client::AddTeach(app, action);
  crowdteach::client::AddStatus(app, action);
  crowdteach::client::AddWallet(app, action);
  crowdteach::client::AddReceipts(app, action);
  crowdteach::client::AddJoin(app, action);
  crowdteach::client::AddLaunch(app, action);
  crowdteach::client::AddWatch(app, action);
  crowdteach::client::AddClose(app, action);
  crowdteach::client::AddModel(app, action);
  crowdteach::client::AddKeygen(app, action);
  return crowdteach::cli::Main(app, action, argc, argv);
}
