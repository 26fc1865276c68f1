#include <memory>
#include <optional>

#include "ledger/audit/commands.h"
#include "ledger/audit/report_html.h"
#include "ledger/audit/summary.h"
#include "ledger/audit/verify.h"
#include "proto/base/file.h"

namespace crowdteach::audit {
namespace {

struct ReportOptions {
  std::string path;
  std::string key;
  std::string artifacts;
  std::optional<uint64_t> campaign;
  std::string output;
};

// Evidence that does not verify gets no report, as that might be handed on without its first line.
StatusOr<int> RunReport(const ReportOptions& options) {
  CT_ASSIGN_OR_RETURN(const ledger::VerifierKey key, PinnedKey(options.key));
  CT_ASSIGN_OR_RETURN(const Evidence evidence, FindEvidence(options.path, options.artifacts));
  CT_ASSIGN_OR_RETURN(const Report report, Verify(evidence, key));
  if (const auto& fault = report.fault()) {
    return DataLoss("{} does not verify, so no report is written: {}{}{}: {}", options.path,
                    fault->region, fault->part.empty() ? "" : " ", fault->part, fault->reason);
  }
  if (report.replay.verdict.entries == 0)
    return InvalidArgument("{}: the log is empty", options.path);
  SummaryFilter filter;
  filter.campaign = options.campaign;
  CT_ASSIGN_OR_RETURN(const Summary summary, Summarise(report.replay, filter));
  const std::string html = ReportHtml(report, summary, FormatVkey(key));
  CT_RETURN_IF_ERROR(base::WriteFileDurably(options.output, html, 0644));
  fmt::print("{}: {} entries, {}\n", options.output, report.replay.verdict.entries,
             report.incomplete() ? "verified in part: something that was asked for is missing"
                                 : "verified");
  return report.exit_code();
}

}  // namespace

void AddReport(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand(
      "report", "Writes what verify and show say as one HTML page for people, once it verifies");
  command->add_option("evidence", options->path, "A bundle, or a folder with log.bundle in it")
      ->required()
      ->type_name("BUNDLE|DIR");
  AddKeyOption(command, options->key);
  command->add_option("-o,--output", options->output, "File to write")
      ->required()
      ->type_name("FILE");
  command->add_option("--campaign", options->campaign, "Only this campaign, by number");
  command
      ->add_option("--artifacts", options->artifacts,
                   "As for verify (default: artifacts/ in DIR, if it is there)")
      ->type_name("DIR");
  cli::SetExamples(command,
                   "  crowdteach-audit report evidence --key log.vkey -o report.html\n"
                   "The page needs no network and no script, prints, and is the same bytes for the "
                   "same evidence.\nExit codes: 6 the evidence does not verify, and nothing was "
                   "written; 7 written, but something that\nwas asked for is missing, as the page "
                   "says.\n");
  command->callback([options, &action] { action = [options] { return RunReport(*options); }; });
}

}  // namespace crowdteach::audit
