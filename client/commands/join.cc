// crowdteach join: opens an account and says which; the operator can then issue credits to it.
#include <fmt/core.h>

#include "client/commands/commands.h"
#include "client/commands/joining.h"
#include "proto/wire/invite.h"

namespace crowdteach::client {

void AddJoin(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<JoinOptions>();
  CLI::App* command = app.add_subcommand("join", "Opens your account and shows its balance");
  AddJoinOptions(command, options.get());
  cli::SetExamples(command, "  crowdteach join --invite owner.invite --name alice\n");
  command->callback([options, &action] {
    action = [options]() -> StatusOr<int> {
      CT_ASSIGN_OR_RETURN(Joined joined, Join(*options, v1::ROLE_UNSPECIFIED, Account::kMayOpen));
      CT_ASSIGN_OR_RETURN(const v1::GetAccountReply account, joined.session->GetAccount());
      if (!options->name.empty() && options->name != account.name()) {
        return FailedPrecondition(
            "{} has an account already, {}, called \"{}\"; names on the ledger do not change. "
            "Another "
            "name needs another invite and another --home",
            options->home, account.account(), account.name());
      }
      fmt::print("account {} ({}, {}): {} credits free\n", account.account(), account.name(),
                 wire::RoleName(account.role()), account.available());
      return 0;
    };
  });
}

}  // namespace crowdteach::client
