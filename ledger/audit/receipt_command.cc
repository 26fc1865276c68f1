#include <memory>

#include "ledger/audit/commands.h"
#include "ledger/audit/entry_text.h"
#include "ledger/audit/replay.h"
#include "ledger/receipt.h"
#include "proto/base/file.h"

namespace crowdteach::audit {
namespace {

// An entry, 64 inclusion hashes and a note, in base64.
constexpr size_t kMaxReceiptBytes = size_t{1} << 18;

struct ReceiptOptions {
  std::string path;
  std::string key;
};

StatusOr<int> RunReceipt(const ReceiptOptions& options) {
  CT_ASSIGN_OR_RETURN(const ledger::VerifierKey key, PinnedKey(options.key));
  CT_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(options.path, kMaxReceiptBytes));
  const auto receipt = ledger::VerifyReceipt(text, key);
  if (!receipt.ok()) return DataLoss("{}: {}", options.path, Message(receipt.status()));
  fmt::print("{}\nproven: this entry is in the log {} of {} entries, root {}\n",
             EntryText(receipt->entry), receipt->checkpoint.origin, receipt->checkpoint.size,
             base::Hex(receipt->checkpoint.root));
  return kExitOk;
}

}  // namespace

void AddReceipt(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<ReceiptOptions>();
  CLI::App* command = app.add_subcommand(
      "receipt", "Checks one receipt (a tlog-proof) and prints its entry in words");
  command->add_option("file", options->path, "The receipt")->required()->type_name("FILE");
  AddKeyOption(command, options->key);
  cli::SetExamples(
      command, "  crowdteach-audit receipt ~/.crowdteach/receipts/00000017.proof --key log.vkey\n");
  command->callback([options, &action] { action = [options] { return RunReceipt(*options); }; });
}

}  // namespace crowdteach::audit
