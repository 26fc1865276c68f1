#include <memory>

#include "ledger/audit/commands.h"
#include "ledger/audit/verify.h"

namespace crowdteach::audit {
namespace {

struct VerifyOptions {
  std::string path;
  std::string key;
  std::string artifacts;
  std::string format = "text";
};

StatusOr<int> RunVerify(const VerifyOptions& options) {
  CT_ASSIGN_OR_RETURN(const ledger::VerifierKey key, PinnedKey(options.key));
  CT_ASSIGN_OR_RETURN(const Evidence evidence, FindEvidence(options.path, options.artifacts));
  CT_ASSIGN_OR_RETURN(const Report report, Verify(evidence, key));
  fmt::print("{}", options.format == "json" ? ReportJson(report) : ReportText(report));
  return report.exit_code();
}

}  // namespace

void AddKeyOption(CLI::App* command, std::string& key) {
  command
      ->add_option(
          "--key", key,
          "The log's verifier key, from a source you trust: the key, or a file with it, such "
          "as your invite")
      ->type_name("VKEY|FILE");
}

void AddVerify(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand(
      "verify", "Checks a bundle or an export: every byte, rule, payout and score");
  command->add_option("evidence", options->path, "A bundle, or a folder with log.bundle in it")
      ->required()
      ->type_name("BUNDLE|DIR");
  AddKeyOption(command, options->key);
  command
      ->add_option(
          "--artifacts", options->artifacts,
          "Folder of models, updates, gradients (default: artifacts/ in DIR, if it is there)")
      ->type_name("DIR");
  command->add_option("--format", options->format, "text or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}));
  cli::SetExamples(
      command,
      "  crowdteach-audit verify export --key log.vkey\n"
      "  crowdteach-audit verify log.bundle --key log.vkey --format json\n"
      "A bundle shows signatures, chain, tree, every rule and posting, every score; artifacts also "
      "models,\nnorms and products, bit for bit.\n"
      "Exit codes: 0 all verifies (for a bundle alone: all that it can show), 6 disproved, 7 some "
      "artifact\nthat was asked for is missing. What rests on somebody's word, as a measured loss "
      "does, is listed\nas not checked and changes no code.\n");
  command->callback([options, &action] { action = [options] { return RunVerify(*options); }; });
}

}  // namespace crowdteach::audit
