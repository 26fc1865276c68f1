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
  constexpr crowdteach::cli::Manual kManual{
      1,
      "  ~/.crowdteach  The home, unless --home names another: it holds what follows\n"
      "  key  The account. Whoever has this file is you: keep a copy, show it to nobody\n"
      "  invite.toml  The coordinator that is trusted\n"
      "  receipts/, statements/  Proofs of your entries, and what the coordinator signed for "
      "you\n"};
  return crowdteach::cli::Main(app, action, argc, argv, kManual);
}
