#include <memory>

#include "ledger/audit/commands.h"
#include "ledger/audit/summary.h"

namespace crowdteach::audit {
namespace {

struct ShowOptions {
  std::string path;
  std::string key;
  SummaryFilter filter;
  std::string format = "table";
};

StatusOr<int> RunShow(const ShowOptions& options) {
  CT_ASSIGN_OR_RETURN(const ledger::VerifierKey key, PinnedKey(options.key));
  CT_ASSIGN_OR_RETURN(const Evidence evidence, FindEvidence(options.path, ""));
  CT_ASSIGN_OR_RETURN(const ledger::ByteSource source, ledger::FileSource(evidence.bundle_path));
  CT_ASSIGN_OR_RETURN(const Replay replay, ReplayBundle(source, key));
  if (const auto& fault = replay.verdict.fault) {
    return DataLoss("{} is not shown, it does not verify: {}{}{}: {}", evidence.bundle_path,
                    fault->region, fault->part.empty() ? "" : " ", fault->part, fault->reason);
  }
  CT_ASSIGN_OR_RETURN(const Summary summary, Summarise(replay, options.filter));
  fmt::print("{}", options.format == "json"  ? SummaryJson(summary)
                   : options.format == "csv" ? SummaryCsv(summary)
                                             : SummaryTable(summary));
  return kExitOk;
}

}  // namespace

void AddShow(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = app.add_subcommand(
      "show", "Lists rounds, scores, payouts and balances of a bundle, once it verifies");
  command->add_option("evidence", options->path, "A bundle, or a folder with log.bundle in it")
      ->required()
      ->type_name("BUNDLE|DIR");
  AddKeyOption(command, options->key);
  command->add_option("--campaign", options->filter.campaign, "Only this campaign, by number");
  command->add_option("--teacher", options->filter.teacher, "Only this teacher")
      ->type_name("NAME|ACCOUNT");
  command->add_option("--round", options->filter.round, "Only this round (sums stay whole)");
  command->add_option("--format", options->format, "table, json or csv (a line a score)")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "json", "csv"}));
  cli::SetExamples(command,
                   "  crowdteach-audit show export --key log.vkey\n"
                   "  crowdteach-audit show log.bundle --key log.vkey --teacher ada --round 3\n"
                   "  crowdteach-audit show log.bundle --key log.vkey --format csv > scores.csv\n"
                   "Sums run over the rounds that were settled or charged a teacher. Its score is "
                   "that of the last\npass it was in, its reward what those rounds paid less what "
                   "they charged (in nats and credits),\nits stake what charges left of it.\n");
  command->callback([options, &action] { action = [options] { return RunShow(*options); }; });
}

}  // namespace crowdteach::audit
