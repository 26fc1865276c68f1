// crowdteach: the program of data owners and model owners.
#include <CLI/CLI.hpp>

#include "client/commands/commands.h"

int main(int argc, char** argv) {
  CLI::App app{"Teach a model with data that stays with you, or launch a campaign that is taught",
               "crowdteach"};
  crowdteach::cli::Action action;
  crowdteach::client::AddTeach(app, action);
  crowdteach::client::AddJoin(app, action);
  crowdteach::client::AddLaunch(app, action);
  crowdteach::client::AddWatch(app, action);
  crowdteach::client::AddClose(app, action);
  crowdteach::client::AddModel(app, action);
  crowdteach::client::AddKeygen(app, action);
  return crowdteach::cli::Main(app, action, argc, argv);
}
