// crowdteach wallet: balances by campaign, and why a round paid what it did.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "client/commands/commands.h"
#include "client/commands/own_state.h"
#include "learning/fixed_point.h"
#include "proto/cli/table.h"
#include "proto/cli/terminal.h"

namespace crowdteach::client {
namespace {

struct WalletOptions {
  OwnOptions own;
  std::optional<uint32_t> explain;
  uint64_t campaign = 0;
};

using Json = nlohmann::ordered_json;

void PrintJson(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

Json ToJson(const Wallet& wallet, const OwnState& state) {
  Json json = {{"account", wallet.account},      {"name", wallet.name},
               {"available", wallet.available},  {"fetched_entries", state.records.fetched},
               {"up_to_date", state.fresh.ok()}, {"campaigns", Json::array()}};
  if (!state.fresh.ok()) json["why_not"] = Message(state.fresh);
  for (const CampaignMoney& money : wallet.campaigns) {
    json["campaigns"].push_back({{"campaign", money.campaign},
                                 {"name", money.name},
                                 {"rounds", money.rounds},
                                 {"score_q32", money.score_q32},
                                 {"held", money.held},
                                 {"stake", money.stake},
                                 {"charged", money.charged},
                                 {"paid_in", money.escrow}});
  }
  return json;
}

std::string ToText(const Wallet& wallet, const OwnState& state) {
  std::string text = fmt::format("account {} ({}): {} credits free; {}\n", wallet.account,
                                 wallet.name, wallet.available, state.Freshness());
  if (wallet.campaigns.empty()) return text;
  std::vector<std::vector<std::string>> rows = {
      {"campaign", "name", "rounds", "score (nats)", "held", "stake", "charged", "paid in"}};
  for (const CampaignMoney& money : wallet.campaigns) {
    rows.push_back({fmt::format("{}", money.campaign), money.name, fmt::format("{}", money.rounds),
                    fmt::format("{:+.6f}", learning::FromQ32(money.score_q32)),
                    fmt::format("{}", money.held), fmt::format("{}", money.stake),
                    fmt::format("{}", money.charged), fmt::format("{}", money.escrow)});
  }
  return text + cli::Table(rows, {1});
}

// The campaign meant: the one named, or the only one.
StatusOr<uint64_t> ChooseCampaign(uint64_t asked, const Wallet& wallet) {
  if (asked != 0) return asked;
  if (wallet.campaigns.size() == 1) return wallet.campaigns.front().campaign;
  std::string choice;
  for (const CampaignMoney& money : wallet.campaigns) {
    choice += fmt::format("\n  --campaign {}   {}", money.campaign, money.name);
  }
  if (choice.empty()) return FailedPrecondition("account {} is in no campaign yet", wallet.account);
  return InvalidArgument("which campaign's round? choose one:{}", choice);
}

Json ToJson(const Explanation& e) {
  return {{"account", e.account},
          {"campaign", e.campaign},
          {"round", e.round},
          {"pass", e.pass},
          {"score_entry", e.score_index},
          {"posted_entry", e.posted_index},
          {"phi_q32", e.phi_q32},
          {"credits_per_nat", e.credits_per_nat},
          {"product", base::WideToDecimal(e.product)},
          {"reward", base::WideToDecimal(e.reward)},
          {"remainder", e.remainder},
          {"uncovered", e.uncovered},
          {"held_before", e.held_before},
          {"stake_before", e.stake_before},
          {"held_posted", e.to_held},
          {"stake_posted", e.to_stake},
          {"held_after", e.held_before + e.to_held},
          {"stake_after", e.stake_before + e.to_stake}};
}

StatusOr<int> RunWallet(const WalletOptions& options) {
  CT_ASSIGN_OR_RETURN(const OwnState state, LoadOwnState(options.own));
  if (state.account == 0) {
    return FailedPrecondition("{} has no account yet", options.own.join.home);
  }
  const Entries entries = state.records.Entries();
  const Wallet wallet = MakeWallet(state.account, entries);
  const bool json = options.own.format == "json";
  if (!options.explain.has_value()) {
    if (json) {
      PrintJson(ToJson(wallet, state));
    } else {
      cli::Print(ToText(wallet, state));
    }
    return state.exit_code();
  }
  CT_ASSIGN_OR_RETURN(const uint64_t campaign, ChooseCampaign(options.campaign, wallet));
  StatusOr<Explanation> explained =
      ExplainRound(state.account, entries, campaign, *options.explain);
  if (!explained.ok() && !state.fresh.ok()) {
    return Annotate(explained.status(), state.Freshness());
  }
  CT_RETURN_IF_ERROR(explained.status());
  if (json) {
    PrintJson(ToJson(*explained));
  } else {
    cli::Print(ExplanationText(*explained));
    cli::Print("computed here from receipts that verify against the log key of your invite\n");
  }
  return state.exit_code();
}

}  // namespace

void AddWallet(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<WalletOptions>();
  CLI::App* command = app.add_subcommand(
      "wallet", "Shows your credits by campaign, added up from receipts, and explains a round");
  AddOwnOptions(command, &options->own, true);
  command
      ->add_option("--explain", options->explain,
                   "Why this round paid or charged what it did, in numbers that add up")
      ->type_name("ROUND");
  command->add_option("--campaign", options->campaign, "Whose round, if you are in several");
  cli::SetExamples(command,
                   "  crowdteach wallet\n"
                   "  crowdteach wallet --explain 3 --campaign 5\n"
                   "  crowdteach wallet --offline --format json\n");
  command->callback([options, &action] { action = [options] { return RunWallet(*options); }; });
}

}  // namespace crowdteach::client
