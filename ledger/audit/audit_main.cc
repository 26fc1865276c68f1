// crowdteach-audit: checks a log and what it pays, offline, trusting nobody. No gRPC, no Torch.
#include "ledger/audit/commands.h"

int main(int argc, char** argv) {
  namespace audit = crowdteach::audit;
  CLI::App app(
      "Checks crowdteach's books: from a bundle every signature, rule, payout and score; with its "
      "artifacts the models, too",
      "crowdteach-audit");
  crowdteach::cli::Action action;
  audit::AddVerify(app, action);
  audit::AddShow(app, action);
  audit::AddReport(app, action);
  audit::AddFetch(app, action);
  audit::AddReceipt(app, action);
  audit::AddStatement(app, action);
  constexpr crowdteach::cli::Manual kManual{
      1,
      "  ~/.crowdteach-audit  The home, unless --home names another: key, invite, receipts and the "
      "newest signed head seen\n"};
  return crowdteach::cli::Main(app, action, argc, argv, kManual);
}
