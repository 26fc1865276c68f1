// crowdteach teach: joins a campaign with one command and teaches until it is settled.
#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "client/commands/choosing.h"
#include "client/commands/commands.h"
#include "client/commands/data_options.h"
#include "client/commands/joining.h"
#include "client/commands/patience.h"
#include "client/commands/teaching_lines.h"
#include "client/commands/terms_text.h"
#include "client/teaching.h"
#include "learning/fixed_point.h"
#include "proto/base/bytes.h"
#include "proto/cli/signals.h"

namespace crowdteach::client {
namespace {

struct TeachOptions {
  JoinOptions join;
  WorkerOptions worker;
  DataOptions data;
  uint64_t campaign = 0;
  bool yes = false;
  bool leave_at_end = false;
  std::optional<uint64_t> seed;
  std::string behaviour = "honest";
};

// The campaign to join: the one asked for, or the only one running; waits until there is one.
StatusOr<uint64_t> ChooseCampaign(const TeachOptions& options, Session* session,
                                  const std::stop_token& stop) {
  if (options.campaign != 0) return options.campaign;
  for (bool said = false; !stop.stop_requested(); said = true) {
    CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list,
                        Patiently(stop, [&] { return session->ListCampaigns(); }));
    CT_ASSIGN_OR_RETURN(const uint64_t found, OnlyCampaign(list));
    if (found != 0) return found;
    if (!said) fmt::print("no campaign is running yet; waiting for one\n");
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return absl::CancelledError("stopped");
}

Status AskToAgree(const TeachOptions& options, const v1::CampaignOpen& open) {
  fmt::print("{}", TermsText(open));
  if (options.yes) return OkStatus();
  if (isatty(STDIN_FILENO) == 0) {
    return FailedPrecondition("nobody is here to agree to these terms; pass --yes to agree");
  }
  fmt::print("Do you agree? Your stake is locked when you do. [y/N] ");
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return OkStatus();
  return absl::CancelledError("not joined: the terms were declined");
}

StatusOr<bool> IsEnrolled(Session* session, uint64_t campaign) {
  CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list, session->ListCampaigns());
  for (const auto& item : list.campaigns()) {
    if (item.campaign() == campaign) return item.enrolled();
  }
  return false;
}

// Locks the stake, unless this account is enrolled already.
Status Enrol(Session* session, uint64_t campaign, uint64_t examples) {
  CT_ASSIGN_OR_RETURN(const bool enrolled, IsEnrolled(session, campaign));
  if (enrolled) return OkStatus();
  v1::Intent body;
  body.mutable_enrol()->set_campaign(campaign);
  body.mutable_enrol()->set_examples(examples);
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, session->Submit(std::move(body)));
  fmt::print("enrolled: ledger entry {}\n", entry.logged.entry.index());
  return OkStatus();
}

Status PrintBalance(Home* home, const SessionOptions& session_options, uint64_t campaign) {
  CT_ASSIGN_OR_RETURN(const auto session, Session::Connect(home, session_options));
  CT_ASSIGN_OR_RETURN(const v1::GetAccountReply account, session->GetAccount());
  fmt::print("account {} ({}): {} credits free", account.account(), account.name(),
             account.available());
  for (const auto& stake : account.stakes()) {
    if (stake.campaign() != campaign) continue;
    fmt::print(", {} held, {} at stake, total score {:+.6f} nats", stake.held(), stake.stake(),
               learning::FromQ32(stake.score_q32()));
  }
  fmt::print("; receipts in {}/receipts\n", home->path());
  return OkStatus();
}

StatusOr<int> RunTeach(const TeachOptions& options) {
  const cli::StopOnSignals signals;
  CT_ASSIGN_OR_RETURN(const Behaviour behaviour, ParseBehaviour(options.behaviour));
  CT_ASSIGN_OR_RETURN(const learning::RunnerOptions runner, FindWorker(options.worker));
  // What can be wrong before there is a campaign.
  CT_RETURN_IF_ERROR(CheckDataOptions(options.data));
  CT_ASSIGN_OR_RETURN(Joined joined, Join(options.join, v1::TEACHER, Account::kMayOpen));
  CT_ASSIGN_OR_RETURN(const uint64_t campaign,
                      ChooseCampaign(options, joined.session.get(), signals.token()));
  Session* const session = joined.session.get();
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry,
                      Patiently(signals.token(), [&] { return session->FindCampaign(campaign); }));
  const v1::CampaignOpen& open = entry.logged.intent.campaign_open();

  CT_ASSIGN_OR_RETURN(const learning::ExamplesFile data,
                      ReadData(options.data, open.terms().data()));
  CT_ASSIGN_OR_RETURN(const bool enrolled,
                      Patiently(signals.token(), [&] { return IsEnrolled(session, campaign); }));
  if (!enrolled) CT_RETURN_IF_ERROR(AskToAgree(options, open));
  const uint64_t examples = std::min(data.count(), open.terms().max_examples());
  CT_ASSIGN_OR_RETURN(const auto trainer,
                      LocalTrainer::Make(runner, open.terms(), &data, behaviour));
  CT_RETURN_IF_ERROR(
      Patiently(signals.token(), [&] { return Enrol(session, campaign, examples); }));
  fmt::print("teaching campaign {} with {} examples as account {}\n", campaign, data.count(),
             session->account());
  std::fflush(stdout);
  joined.session.reset();

  TeachingOptions teaching;
  teaching.session = joined.session_options;
  teaching.campaign = campaign;
  teaching.until_refund = !options.leave_at_end;
  teaching.seed =
      options.seed.has_value() ? *options.seed : base::ReadU64(base::RandomBytes(8).data());
  TeachingLines observer(open.terms());
  CT_RETURN_IF_ERROR(
      Teach(joined.home.get(), teaching, open, trainer.get(), &observer, signals.token()));
  CT_RETURN_IF_ERROR(Patiently(signals.token(), [&] {
    return PrintBalance(joined.home.get(), joined.session_options, campaign);
  }));
  return 0;
}

}  // namespace

void AddTeach(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<TeachOptions>();
  CLI::App* command = app.add_subcommand("teach", "Joins a campaign and teaches it with your data");
  AddJoinOptions(command, &options->join);
  AddWorkerOptions(command, &options->worker);
  AddDataOptions(command, &options->data);
  command->add_option("--campaign", options->campaign, "Which one, if several are running");
  command->add_flag("--yes", options->yes, "Agree to the terms without being asked");
  command->add_flag("--leave-at-end", options->leave_at_end,
                    "Stop after the last round instead of waiting for the refund");
  command->add_option("--seed", options->seed, "Seed of local training (default: random)");
  command->add_option("--behaviour", options->behaviour, "honest, zero or sign-flip")
      ->group("For demonstrations")
      ->capture_default_str();
  cli::SetExamples(command,
                   "  crowdteach teach --invite teacher.invite --data ~/my-images\n"
                   "  crowdteach teach --data table.csv --campaign 5 --yes\n");
  command->callback([options, &action] { action = [options] { return RunTeach(*options); }; });
}

}  // namespace crowdteach::client
