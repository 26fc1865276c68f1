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
  return crowdteach::cli::Main(app, action, argc, argv);
}
