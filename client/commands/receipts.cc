// crowdteach receipts: what the home holds of the ledger, and whether it verifies.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "client/commands/commands.h"
#include "client/commands/own_state.h"
#include "proto/cli/table.h"
#include "proto/cli/terminal.h"

namespace crowdteach::client {
namespace {

struct ReceiptsOptions {
  OwnOptions own;
  bool verify = false;
  uint64_t campaign = 0;
};

std::string Number(uint64_t number) { return number == 0 ? "" : fmt::format("{}", number); }

nlohmann::ordered_json ToJson(const KeptReceipt& kept, bool verify) {
  nlohmann::ordered_json json = {{"index", kept.index}, {"path", kept.path}};
  if (!kept.fault.ok()) {
    json["fault"] = Message(kept.fault);
    return json;
  }
  json["time_ms"] = kept.entry.entry.time_ms();
  json["type"] = ledger::BodyName(kept.entry.intent);
  json["campaign"] = CampaignOf(kept.entry);
  json["round"] = RoundOf(kept.entry.intent);
  json["verified"] = verify;
  return json;
}

std::string ToTable(const std::vector<const KeptReceipt*>& receipts, bool verify) {
  std::vector<std::vector<std::string>> rows = {
      {"entry", "time", "type", "campaign", "round", "file"}};
  if (verify) rows.front().push_back("proven");
  for (const KeptReceipt* kept : receipts) {
    const ledger::LoggedEntry& entry = kept->entry;
    const bool ok = kept->fault.ok();
    rows.push_back({fmt::format("{}", kept->index), ok ? ShortTime(entry.entry.time_ms()) : "",
                    ok ? std::string(ledger::BodyName(entry.intent)) : "not a receipt",
                    Number(CampaignOf(entry)), Number(RoundOf(entry.intent)), kept->path});
    if (verify) rows.back().push_back(ok ? "yes" : "NO: " + Message(kept->fault));
  }
  return cli::Table(rows, {1, 2, 5, 6});
}

StatusOr<int> RunReceipts(const ReceiptsOptions& options) {
  CT_ASSIGN_OR_RETURN(std::optional<ledger::VerifierKey> log, OwnLogKey(options.own.join.home));
  if (!options.verify) log.reset();
  CT_ASSIGN_OR_RETURN(const Records records, ReadRecords(options.own.join.home, log));
  std::vector<const KeptReceipt*> chosen;
  size_t faults = 0;
  for (const KeptReceipt& kept : records.receipts) {
    const bool here = options.campaign == 0 || CampaignOf(kept.entry) == options.campaign;
    if (here || !kept.fault.ok()) chosen.push_back(&kept);
    if (!kept.fault.ok()) ++faults;
  }
  if (options.own.format == "json") {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const KeptReceipt* kept : chosen) json.push_back(ToJson(*kept, options.verify));
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (chosen.empty()) {
    cli::Print("no receipts yet\n");
  } else {
    cli::Print(ToTable(chosen, options.verify));
  }
  if (faults == 0) return kExitOk;
  return DataLoss("{} of {} receipts are no good; the others stand for themselves", faults,
                  records.receipts.size());
}

}  // namespace

void AddReceipts(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<ReceiptsOptions>();
  CLI::App* command = app.add_subcommand(
      "receipts", "Lists the receipts in your home; asks nobody, also while teach runs");
  AddOwnOptions(command, &options->own, false);
  command->add_flag("--verify", options->verify,
                    "Check each against the log key of your invite (exit code 6 if one is wrong)");
  command->add_option("--campaign", options->campaign, "Only those of this campaign");
  cli::SetExamples(command,
                   "  crowdteach receipts --verify\n"
                   "  crowdteach receipts --campaign 5 --format json\n");
  command->callback([options, &action] { action = [options] { return RunReceipts(*options); }; });
}

}  // namespace crowdteach::client
