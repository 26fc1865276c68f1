#include <memory>

#include "ledger/audit/commands.h"
#include "ledger/audit/replay.h"
#include "ledger/canonical.h"
#include "ledger/receipt.h"
#include "ledger/statement.h"
#include "proto/base/bytes.h"
#include "proto/base/file.h"
#include "proto/base/utc_time.h"

namespace crowdteach::audit {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 18;

struct StatementOptions {
  std::string path;
  std::string genesis;
  std::string key;
};

std::string Said(const v1::Statement& statement) {
  const std::string subject = base::Hex(statement.subject());
  switch (statement.kind()) {
    case v1::UPLOAD_COMPLETE:
      return fmt::format("the blob {} was received whole", subject);
    case v1::UPLOAD_REFUSED:
      return fmt::format("the blob {} was refused: {}", subject, base::Quoted(statement.reason()));
    default:
      return fmt::format("the intent with SHA-256 {} was refused: {}", subject,
                         base::Quoted(statement.reason()));
  }
}

StatusOr<int> RunStatement(const StatementOptions& options) {
  CT_ASSIGN_OR_RETURN(const ledger::VerifierKey key, PinnedKey(options.key));
  CT_ASSIGN_OR_RETURN(const std::string proof, base::ReadFile(options.genesis, kMaxFileBytes));
  const auto genesis = ledger::VerifyReceipt(proof, key);
  if (!genesis.ok()) return DataLoss("{}: {}", options.genesis, Message(genesis.status()));
  if (!genesis->entry.intent.has_genesis_body()) {
    return InvalidArgument("{} is the receipt of entry {}; that of entry 0 is wanted",
                           options.genesis, genesis->entry.entry.index());
  }
  CT_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(options.path, kMaxFileBytes));
  const auto sealed = ledger::Decode<v1::SignedStatement>(bytes);
  if (!sealed.ok()) return InvalidArgument("{}: {}", options.path, Message(sealed.status()));
  const auto statement = ledger::OpenStatement(
      *sealed, genesis->entry.intent.genesis_body().operator_key(), genesis->entry.leaf);
  if (!statement.ok()) return DataLoss("{}: {}", options.path, Message(statement.status()));
  fmt::print(
      "{}\nto account {}, at {}, when the log had {} entries\n"
      "proven: the operator of the log {} signed this\n",
      Said(*statement), statement->account(), base::UtcTime(statement->time_ms()),
      statement->log_size(), genesis->checkpoint.origin);
  return kExitOk;
}

}  // namespace

void AddStatement(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<StatementOptions>();
  CLI::App* command = app.add_subcommand(
      "statement", "Checks what the operator signed about an upload or a refused request");
  command->add_option("file", options->path, "The statement")->required()->type_name("FILE");
  command
      ->add_option("--genesis", options->genesis,
                   "Receipt of entry 0, which names the operator's key")
      ->required()
      ->type_name("FILE");
  AddKeyOption(command, options->key);
  cli::SetExamples(command,
                   "  crowdteach-audit statement ~/.crowdteach/statements/51d3….uploaded \\\n"
                   "    --genesis ~/.crowdteach/receipts/00000000.proof --key log.vkey\n");
  command->callback([options, &action] { action = [options] { return RunStatement(*options); }; });
}

}  // namespace crowdteach::audit
