// crowdteach teach: joins a campaign with one command and teaches until it is settled.
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "client/commands/commands.h"
#include "client/commands/joining.h"
#include "client/commands/patience.h"
#include "client/commands/teaching_lines.h"
#include "client/commands/terms_text.h"
#include "client/records.h"
#include "client/teaching.h"
#include "client/wallet.h"
#include "learning/data/readers.h"
#include "learning/data/shards.h"
#include "learning/fixed_point.h"
#include "proto/base/bytes.h"
#include "proto/cli/signals.h"
#include "proto/cli/terminal.h"

namespace crowdteach::client {
namespace {

struct TeachOptions {
  JoinOptions join;
  WorkerOptions worker;
  std::string data;
  uint64_t campaign = 0;
  bool yes = false;
  bool leave_at_end = false;
  std::optional<uint64_t> seed;
  std::string shard;
  double dirichlet = 0;
  uint64_t shard_seed = 0;
  double label_noise = 0;
  uint64_t limit = 0;
  std::string behaviour = "honest";
};

// The campaign to join: the one asked for, or the only one running; waits until there is one.
StatusOr<uint64_t> ChooseCampaign(const TeachOptions& options, Session* session,
                                  const std::stop_token& stop) {
  if (options.campaign != 0) return options.campaign;
  for (bool said = false; !stop.stop_requested(); said = true) {
    CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list,
                        Patiently(stop, [&] { return session->ListCampaigns(); }));
    std::string running;
    uint64_t found = 0;
    int count = 0;
    for (const auto& item : list.campaigns()) {
      if (item.phase() != "running" && !item.enrolled()) continue;
      if (item.phase() == "refunded") continue;
      found = item.campaign();
      running += fmt::format("\n  --campaign {}   {}", item.campaign(), item.name());
      ++count;
    }
    if (count == 1) return found;
    if (count > 1) return InvalidArgument("several campaigns are running; choose one:{}", running);
    if (!said) fmt::print("no campaign is running yet; waiting for one\n");
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return absl::CancelledError("stopped");
}

StatusOr<learning::ShardOptions> ReadShard(const TeachOptions& options) {
  learning::ShardOptions shard;
  shard.seed = options.shard_seed;
  shard.label_noise = options.label_noise;
  shard.limit = options.limit;
  if (options.dirichlet > 0) shard.dirichlet = options.dirichlet;
  if (!options.shard.empty()) CT_RETURN_IF_ERROR(learning::ParseShard(options.shard, &shard));
  return shard;
}

StatusOr<learning::ExamplesFile> ReadData(const TeachOptions& options, const v1::DataTerms& terms) {
  CT_ASSIGN_OR_RETURN(learning::ExamplesFile all, learning::ReadDataset(options.data, terms));
  CT_ASSIGN_OR_RETURN(const learning::ShardOptions shard, ReadShard(options));
  if (options.shard.empty() && options.label_noise == 0 && options.limit == 0) return all;
  return learning::TakeShard(all, terms, shard);
}

// Whether a line can be read; false: a stop was requested.
bool WaitForInput(const std::stop_token& stop) {
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  while (!stop.stop_requested()) {
    if (poll(&input, 1, 100) > 0) return true;
  }
  return false;
}

Status AskToAgree(const TeachOptions& options, const v1::CampaignOpen& open,
                  const std::stop_token& stop) {
  cli::Print(TermsText(open));
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

Status PrintBalance(Home* home, const SessionOptions& session_options, uint64_t campaign) {
  CT_ASSIGN_OR_RETURN(const auto session, Session::Connect(home, session_options));
  const Status fetched = session->FetchReceipts();
  // One that is too old to list entries: what came by itself is all there is.
  if (!fetched.ok() && !absl::IsFailedPrecondition(fetched)) return fetched;
  CT_ASSIGN_OR_RETURN(const Records records, ReadRecords(home->path(), std::nullopt));
  const Wallet wallet = MakeWallet(session->account(), records.Entries());
  fmt::print("account {} ({}): {} credits free", wallet.account, wallet.name, wallet.available);
  for (const CampaignMoney& money : wallet.campaigns) {
    if (money.campaign != campaign) continue;
    fmt::print(", {} held, {} at stake, total score {:+.6f} nats", money.held, money.stake,
               learning::FromQ32(money.score_q32));
  }
  fmt::print("; receipts in {}/receipts\n", home->path());
  return OkStatus();
}

Status TeachCampaign(const TeachOptions& options, const std::stop_token& stop) {
  CT_ASSIGN_OR_RETURN(const Behaviour behaviour, ParseBehaviour(options.behaviour));
  CT_ASSIGN_OR_RETURN(const learning::RunnerOptions runner, FindWorker(options.worker));
  // What can be wrong before there is a campaign.
  CT_RETURN_IF_ERROR(ReadShard(options).status());
  CT_RETURN_IF_ERROR(learning::CheckDataset(options.data));
  CT_ASSIGN_OR_RETURN(Joined joined, Join(options.join, v1::TEACHER, Account::kMayOpen));
  CT_ASSIGN_OR_RETURN(const uint64_t campaign, ChooseCampaign(options, joined.session.get(), stop));
  Session* const session = joined.session.get();
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry,
                      Patiently(stop, [&] { return session->FindCampaign(campaign); }));
  const v1::CampaignOpen& open = entry.logged.intent.campaign_open();

  CT_ASSIGN_OR_RETURN(const learning::ExamplesFile data, ReadData(options, open.terms().data()));
  CT_ASSIGN_OR_RETURN(const bool enrolled,
                      Patiently(stop, [&] { return IsEnrolled(session, campaign); }));
  if (!enrolled) CT_RETURN_IF_ERROR(AskToAgree(options, open, stop));
  const uint64_t examples = std::min(data.count(), open.terms().max_examples());
  CT_ASSIGN_OR_RETURN(const auto trainer,
                      LocalTrainer::Make(runner, open.terms(), &data, behaviour));
  CT_RETURN_IF_ERROR(Patiently(stop, [&] { return Enrol(session, campaign, examples); }));
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
  TeachingLines observer(
      open.terms(), [&joined, campaign] { return BalanceText(joined.home->path(), campaign); });
  CT_RETURN_IF_ERROR(Teach(joined.home.get(), teaching, open, trainer.get(), &observer, stop));
  return Patiently(
      stop, [&] { return PrintBalance(joined.home.get(), joined.session_options, campaign); });
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

}  // namespace

void AddTeach(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<TeachOptions>();
  CLI::App* command = app.add_subcommand("teach", "Joins a campaign and teaches it with your data");
  AddJoinOptions(command, &options->join);
  AddWorkerOptions(command, &options->worker);
  command
      ->add_option("--data", options->data,
                   "DIR or DIR:PREFIX (IDX files), IMAGES,LABELS, or FILE.csv")
      ->required();
  command->add_option("--campaign", options->campaign, "Which one, if several are running");
  command->add_flag("--yes", options->yes, "Agree to the terms without being asked");
  command->add_flag("--leave-at-end", options->leave_at_end,
                    "Stop after the last round instead of waiting for the refund");
  command->add_option("--seed", options->seed, "Seed of local training (default: random)");
  const std::string demo = "For demonstrations";
  command->add_option("--shard", options->shard, "Use part I of K of the data, as I/K")
      ->group(demo);
  command->add_option("--dirichlet", options->dirichlet, "Unequal classes: the smaller, the more")
      ->group(demo);
  command->add_option("--shard-seed", options->shard_seed, "Seed of the parts")->group(demo);
  command->add_option("--label-noise", options->label_noise, "Share of labels made wrong")
      ->group(demo)
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--limit", options->limit, "Use at most so many examples")->group(demo);
  command->add_option("--behaviour", options->behaviour, "honest, zero or sign-flip")
      ->group(demo)
      ->capture_default_str();
  cli::SetExamples(command,
                   "  crowdteach teach --invite teacher.invite --data ~/my-images\n"
                   "  crowdteach teach --data table.csv --campaign 5 --yes\n");
  command->callback([options, &action] { action = [options] { return RunTeach(*options); }; });
}

}  // namespace crowdteach::client
