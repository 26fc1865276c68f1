// crowdteach teach: joins a campaign with one command and teaches until it is settled.
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "client/behaviour.h"
#include "client/commands/commands.h"
#include "client/commands/data_options.h"
#include "client/commands/joining.h"
#include "client/commands/patience.h"
#include "client/commands/teaching_lines.h"
#include "client/program_trainer.h"
#include "client/public_terms.h"
#include "client/records.h"
#include "client/teacher.h"
#include "client/wallet.h"
#include "client/worker_trainer.h"
#include "learning/data/readers.h"
#include "proto/base/exit_codes.h"
#include "proto/cli/signals.h"
#include "proto/cli/terminal.h"

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
  std::string trainer;          // own program; empty: the built-in one
  std::string trainer_timeout;  // duration; empty: the time left of the phase
  uint64_t examples = 0;        // claimed with an own program; 0: counted
};

// Whether a line can be read; false: a stop was requested.
bool WaitForInput(const std::stop_token& stop) {
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  while (!stop.stop_requested()) {
    if (poll(&input, 1, 100) > 0) return true;
  }
  return false;
}

Status AskToAgree(const TeachOptions& options, const Campaign& campaign,
                  const std::stop_token& stop) {
  cli::Print(campaign.text);
  if (options.yes) return OkStatus();
  if (isatty(STDIN_FILENO) == 0) {
    return FailedPrecondition("nobody is here to agree to these terms; pass --yes to agree");
  }
  fmt::print("Do you agree? Your stake is locked when you do. [y/N] ");
  std::fflush(stdout);
  if (!WaitForInput(stop)) return absl::CancelledError("not joined: nothing was agreed to");
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return OkStatus();
  return absl::CancelledError("not joined: the terms were declined");
}

Status PrintBalance(Teacher& teacher, const std::string& home) {
  CT_ASSIGN_OR_RETURN(const Balance balance, teacher.GetBalance());
  fmt::print("account {} ({}): {} credits free", balance.account, balance.name, balance.available);
  for (const Balance::Stake& stake : balance.stakes) {
    if (stake.campaign != teacher.campaign()) continue;
    fmt::print(", {} held, {} at stake, total score {:+.6f} nats", stake.held, stake.stake,
               stake.score_nats);
  }
  fmt::print("; receipts in {}/receipts\n", home);
  return OkStatus();
}

// " (2629 held, 2000 at stake)": of the receipts in the home, which were checked when they came.
std::string BalanceText(const std::string& home, uint64_t campaign) {
  const StatusOr<Records> records = ReadRecords(home, std::nullopt);
  if (!records.ok() || records->Account() == nullptr) return "";
  const Wallet wallet = MakeWallet(records->Account()->entry.index(), records->Entries());
  for (const CampaignMoney& money : wallet.campaigns) {
    if (money.campaign != campaign) continue;
    return fmt::format(" ({} held, {} at stake)", money.held, money.stake);
  }
  return "";
}

StatusOr<std::unique_ptr<Trainer>> MakeProgramTrainer(const TeachOptions& options) {
  if (options.examples == 0 && options.data.data.empty()) {
    return InvalidArgument(
        "how many examples does your trainer teach with? Say --examples N, or --data for data that "
        "can be counted");
  }
  if (!options.data.shard.empty() || options.data.label_noise != 0 || options.data.limit != 0) {
    return InvalidArgument(
        "--shard, --label-noise and --limit are for the built-in trainer; yours reads its own "
        "data");
  }
  ProgramTrainerOptions program{.command = options.trainer, .data = options.data.data};
  if (!options.trainer_timeout.empty()) {
    CT_ASSIGN_OR_RETURN(const uint64_t ms, base::ParseDuration(options.trainer_timeout));
    program.timeout = std::chrono::milliseconds(ms);
  }
  program.count_examples = [options](const Campaign& campaign) -> StatusOr<uint64_t> {
    if (options.examples != 0) return options.examples;
    CT_ASSIGN_OR_RETURN(const v1::Terms terms, TermsOf(campaign));
    const StatusOr<learning::ExamplesFile> data =
        learning::ReadDataset(options.data.data, terms.data());
    if (data.ok()) return data->count();
    return Annotate(data.status(), "counting the examples (or say --examples N)");
  };
  return ProgramTrainer::Make(std::move(program));
}

StatusOr<std::unique_ptr<Trainer>> MakeTrainer(const TeachOptions& options) {
  CT_ASSIGN_OR_RETURN(const Behaviour behaviour, ParseBehaviour(options.behaviour));
  // What can be wrong before there is a campaign.
  if (!options.trainer.empty()) {
    CT_ASSIGN_OR_RETURN(std::unique_ptr<Trainer> program, MakeProgramTrainer(options));
    return WithBehaviour(std::move(program), behaviour);
  }
  if (options.data.data.empty())
    return InvalidArgument(
        "--data is missing: your examples, unless --trainer names a program that has its own");
  CT_ASSIGN_OR_RETURN(learning::RunnerOptions runner, FindWorker(options.worker));
  CT_RETURN_IF_ERROR(CheckDataOptions(options.data));
  const auto read = [data = options.data](const v1::DataTerms& terms) {
    return ReadData(data, terms);
  };
  return WithBehaviour(std::make_unique<WorkerTrainer>(std::move(runner), read), behaviour);
}

Status TeachCampaign(const TeachOptions& options, const std::stop_token& stop) {
  CT_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer, MakeTrainer(options));
  const std::string& home = options.join.home;
  TeacherOptions teaching{.name = options.join.name,
                          .campaign = options.campaign,
                          .server = options.join.server,
                          .seed = options.seed,
                          .until_refund = !options.leave_at_end};
  teaching.agree = [&](const Campaign& campaign) { return AskToAgree(options, campaign, stop); };
  CT_ASSIGN_OR_RETURN(Teacher teacher,
                      Teacher::Join(options.join.invite_path, home, std::move(teaching)));
  TeachingLines observer([&home](uint64_t campaign) { return BalanceText(home, campaign); },
                         options.trainer.empty());
  CT_RETURN_IF_ERROR(teacher.Teach(*trainer, observer, stop));
  return Patiently(stop, [&] { return PrintBalance(teacher, home); });
}

StatusOr<int> RunTeach(const TeachOptions& options) {
  const cli::StopOnSignals signals;
  const Status ended = TeachCampaign(options, signals.token());
  if (absl::IsCancelled(ended) && signals.token().stop_requested()) {
    fmt::print("{}; the same command goes on\n", Message(ended));
    return kExitOk;
  }
  if (absl::IsResourceExhausted(ended) && !IsFromPeer(ended)) {
    return ResourceExhausted("{}: free some space; nothing is lost, the same command goes on",
                             Message(ended));
  }
  CT_RETURN_IF_ERROR(ended);
  return kExitOk;
}

void AddTrainerOptions(CLI::App* command, TeachOptions* options) {
  const std::string group = "Your own trainer";
  CLI::Option* trainer =
      command
          ->add_option("--trainer", options->trainer,
                       "A program that trains instead of the built-in trainer, in any language, "
                       "such as './train.py {base} {out}'; see below")
          ->group(group);
  command
      ->add_option("--trainer-timeout", options->trainer_timeout,
                   "Longest it may take a round (default: the time left of the phase)")
      ->group(group)
      ->check(cli::CheckDuration)
      ->needs(trainer);
  command
      ->add_option("--examples", options->examples,
                   "How many examples it teaches with (default: counted in --data)")
      ->group(group)
      ->check(cli::InRange(uint64_t{1}, uint64_t{1} << 62))
      ->needs(trainer);
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
  AddTrainerOptions(command, options.get());
  command->add_option("--behaviour", options->behaviour, "honest, zero or sign-flip")
      ->group("For demonstrations")
      ->capture_default_str();
  cli::SetExamples(command,
                   "  crowdteach teach --invite teacher.invite --data ~/my-images\n"
                   "  crowdteach teach --data table.csv --campaign 5 --yes\n"
                   "  crowdteach teach --trainer './train.py {base} {out}' --examples 5000\n\n" +
                       std::string(kPlaceholderHelp));
  command->callback([options, &action] { action = [options] { return RunTeach(*options); }; });
}

}  // namespace crowdteach::client
