// crowdteach keygen: a home with a new key.
#include <fmt/core.h>

#include <filesystem>

#include "client/commands/commands.h"
#include "client/commands/joining.h"
#include "proto/base/bytes.h"

namespace crowdteach::client {

void AddKeygen(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<JoinOptions>();
  CLI::App* command =
      app.add_subcommand("keygen", "Makes your key, if you have none, and prints its public half");
  AddJoinOptions(command, options.get());
  command->remove_option(command->get_option("--invite"));
  command->remove_option(command->get_option("--server"));
  command->remove_option(command->get_option("--name"));
  cli::SetExamples(command, "  crowdteach keygen --home ~/.crowdteach\n");
  command->callback([options, &action] {
    action = [options]() -> StatusOr<int> {
      CT_ASSIGN_OR_RETURN(const auto home, Home::Open(options->home));
      fmt::print("{}\n", base::Hex(home->key().public_key()));
      return 0;
    };
  });
}

}  // namespace crowdteach::client
