// crowdteach status: who I am, what I take part in, what is under way.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "client/commands/commands.h"
#include "client/commands/own_state.h"
#include "proto/cli/table.h"
#include "proto/cli/terminal.h"

namespace crowdteach::client {
namespace {

using Json = nlohmann::ordered_json;

struct CampaignLine {
  uint64_t campaign = 0;
  std::string name;
  std::string phase = "unknown";
  bool enrolled = false;
  CampaignMoney money;
};

// The coordinator's list where it answered, with our own money; else what receipts tell.
std::vector<CampaignLine> CampaignsOf(const OwnState& state, const Wallet& wallet) {
  std::vector<CampaignLine> lines;
  const auto find = [&lines](uint64_t campaign) -> CampaignLine& {
    for (CampaignLine& line : lines) {
      if (line.campaign == campaign) return line;
    }
    lines.push_back({campaign, "", "unknown", false, {}});
    return lines.back();
  };
  if (state.campaigns.has_value()) {
    for (const auto& item : state.campaigns->campaigns()) {
      CampaignLine& line = find(item.campaign());
      line.name = item.name();
      line.phase = item.phase();
      line.enrolled = item.enrolled();
    }
  }
  for (const CampaignMoney& money : wallet.campaigns) {
    CampaignLine& line = find(money.campaign);
    if (line.name.empty()) line.name = money.name;
    line.money = money;
  }
  for (const ledger::LoggedEntry* logged : state.records.Entries()) {
    if (logged->intent.has_enrol()) find(logged->intent.enrol().campaign()).enrolled = true;
  }
  return lines;
}

std::string InWords(const PendingRound& round) {
  const std::string what = fmt::format("round {} of campaign {}: ", round.round, round.campaign);
  if (round.revealed.has_value()) {
    return what + fmt::format("delivered (entry {}), not settled yet", *round.revealed);
  }
  if (round.committed.has_value()) {
    return what + fmt::format("committed (entry {}), not delivered yet", *round.committed);
  }
  return what + "trained, not committed yet";
}

Json ToJson(const OwnState& state, const Wallet& wallet) {
  Json json = {{"home", state.records.home},
               {"account", state.account},
               {"name", wallet.name},
               {"log_size", state.records.log_size},
               {"receipts", state.records.receipts.size()},
               {"up_to_date", state.fresh.ok()},
               {"available", wallet.available},
               {"campaigns", Json::array()},
               {"rounds", Json::array()}};
  if (!state.fresh.ok()) json["why_not"] = Message(state.fresh);
  for (const CampaignLine& line : CampaignsOf(state, wallet)) {
    json["campaigns"].push_back({{"campaign", line.campaign},
                                 {"name", line.name},
                                 {"phase", line.phase},
                                 {"enrolled", line.enrolled},
                                 {"held", line.money.held},
                                 {"stake", line.money.stake}});
  }
  for (const PendingRound& round : state.records.rounds) {
    json["rounds"].push_back({{"campaign", round.campaign},
                              {"round", round.round},
                              {"committed", round.committed.has_value()},
                              {"revealed", round.revealed.has_value()}});
  }
  if (state.records.pending.has_value()) {
    json["in_flight"] = ledger::BodyName(*state.records.pending);
  }
  return json;
}

std::string ToText(const OwnState& state, const Wallet& wallet) {
  std::string text = fmt::format(
      "account      {}\nhome         {}, {} receipts\ncoordinator  {}\nlog          {} entries "
      "seen\n",
      state.account == 0
          ? std::string("none yet")
          : fmt::format("{} ({}), {} credits free", state.account, wallet.name, wallet.available),
      state.records.home, state.records.receipts.size(),
      state.fresh.ok() ? "answers" : Message(state.fresh), state.records.log_size);
  const std::vector<CampaignLine> campaigns = CampaignsOf(state, wallet);
  if (!campaigns.empty()) {
    std::vector<std::vector<std::string>> rows = {
        {"campaign", "name", "phase", "enrolled", "held", "stake"}};
    for (const CampaignLine& line : campaigns) {
      rows.push_back({fmt::format("{}", line.campaign), line.name, line.phase,
                      line.enrolled ? "yes" : "no", fmt::format("{}", line.money.held),
                      fmt::format("{}", line.money.stake)});
    }
    text += "\n" + cli::Table(rows, {1, 2, 3});
  }
  text += "\npending\n";
  for (const PendingRound& round : state.records.rounds) text += "  " + InWords(round) + "\n";
  if (state.records.pending.has_value()) {
    text += fmt::format("  {}: sent, its fate is not known; it is settled first when you go on\n",
                        ledger::BodyName(*state.records.pending));
  }
  const bool nothing = state.records.rounds.empty() && !state.records.pending.has_value();
  return text + (nothing ? "  nothing\n" : "  crowdteach teach goes on with it\n");
}

StatusOr<int> RunStatus(const OwnOptions& options) {
  CT_ASSIGN_OR_RETURN(const OwnState state, LoadOwnState(options));
  const Wallet wallet = MakeWallet(state.account, state.records.Entries());
  if (options.format == "json") {
    fmt::print("{}\n",
               ToJson(state, wallet).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    cli::Print(ToText(state, wallet));
  }
  return state.exit_code();
}

}  // namespace

void AddStatus(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<OwnOptions>();
  CLI::App* command = app.add_subcommand(
      "status", "Shows your account, your campaigns and what is under way; also while teach runs");
  AddOwnOptions(command, options.get(), true);
  cli::SetExamples(command,
                   "  crowdteach status\n"
                   "  crowdteach status --offline --format json\n");
  command->callback([options, &action] { action = [options] { return RunStatus(*options); }; });
}

}  // namespace crowdteach::client
