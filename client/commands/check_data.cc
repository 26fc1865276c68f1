// crowdteach check-data: whether one's data suit a campaign, before joining it.
#include <fmt/core.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "client/campaign_toml.h"
#include "client/choosing.h"
#include "client/commands/check_data_text.h"
#include "client/commands/commands.h"
#include "client/commands/data_options.h"
#include "client/commands/joining.h"
#include "client/commands/patience.h"
#include "client/commands/trial.h"
#include "client/model_code.h"
#include "learning/data/summary.h"
#include "proto/cli/signals.h"

namespace crowdteach::client {
namespace {

struct CheckOptions {
  JoinOptions join;
  WorkerOptions worker;
  DataOptions data;
  uint64_t campaign = 0;
  std::string campaign_file;
  std::string format = "text";
};

StatusOr<uint64_t> ChooseCampaign(uint64_t asked, const v1::ListCampaignsReply& list) {
  if (asked != 0) return asked;
  CT_ASSIGN_OR_RETURN(const uint64_t found, OnlyCampaign(list));
  if (found != 0) return found;
  return FailedPrecondition(
      "no campaign is running yet, so nothing says what your data should be; try again when the "
      "owner has launched one, or check against the owner's file: --campaign-file campaign.toml");
}

// Terms from the coordinator, without an account.
Status FetchTerms(const CheckOptions& options, const std::stop_token& stop, DataReport* report) {
  CT_ASSIGN_OR_RETURN(const Joined joined, Join(options.join, v1::TEACHER, Account::kNotNeeded));
  Session* const session = joined.session.get();
  CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list,
                      Patiently(stop, [&] { return session->ListCampaigns(); }));
  CT_ASSIGN_OR_RETURN(report->campaign, ChooseCampaign(options.campaign, list));
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry,
                      Patiently(stop, [&] { return session->FindCampaign(report->campaign); }));
  report->terms = entry.logged.intent.campaign_open().terms();
  CT_ASSIGN_OR_RETURN(const learning::ModelSpec spec,
                      learning::ParseModelSpec(report->terms.model_toml()));
  CT_RETURN_IF_ERROR(learning::CheckCodeAllowed(spec, options.worker.allow_model_code));
  CT_ASSIGN_OR_RETURN(report->code_path, Patiently(stop, [&] {
                        return FetchModelCode(session, joined.home.get(), spec);
                      }));
  std::string phase;
  for (const auto& item : list.campaigns()) {
    if (item.campaign() == report->campaign) phase = item.phase();
  }
  report->source =
      fmt::format("campaign {} “{}”, {}", report->campaign, report->terms.name(), phase);
  return OkStatus();
}

Status LoadTerms(const CheckOptions& options, DataReport* report) {
  CT_ASSIGN_OR_RETURN(const CampaignFile file, LoadCampaign(options.campaign_file));
  report->terms = file.terms;
  CT_ASSIGN_OR_RETURN(const learning::ModelSpec spec,
                      learning::ParseModelSpec(file.terms.model_toml()));
  CT_RETURN_IF_ERROR(learning::CheckCodeAllowed(spec, options.worker.allow_model_code));
  if (spec.code) report->code_path = file.ModelCodePath();
  report->source = options.campaign_file;
  return OkStatus();
}

// The command that joins with the same data.
std::string NextCommand(const CheckOptions& options) {
  std::string text = "crowdteach teach";
  const auto add = [&text](const char* option, const std::string& value) {
    if (!value.empty()) text += fmt::format(" {} {}", option, ShellWord(value));
  };
  if (options.join.home != JoinOptions::DefaultHome()) add("--home", options.join.home);
  add("--invite", options.join.invite_path);
  add("--name", options.join.name);
  add("--data", options.data.data);
  if (options.campaign != 0) add("--campaign", std::to_string(options.campaign));
  add("--shard", options.data.shard);
  if (options.data.dirichlet > 0) add("--dirichlet", fmt::format("{}", options.data.dirichlet));
  if (options.data.shard_seed != 0) add("--shard-seed", std::to_string(options.data.shard_seed));
  if (options.data.label_noise > 0)
    add("--label-noise", fmt::format("{}", options.data.label_noise));
  if (options.data.limit != 0) add("--limit", std::to_string(options.data.limit));
  add("--worker", options.worker.path);
  if (options.worker.threads != 1) add("--threads", std::to_string(options.worker.threads));
  if (options.worker.no_sandbox) text += " --no-sandbox";
  if (options.worker.allow_model_code) text += " --allow-model-code";
  return text;
}

// Reads the data and trains a little; shows each part as soon as it is there, unless as JSON.
Status CheckData(const CheckOptions& options, const learning::RunnerOptions& runner,
                 const std::stop_token& stop, DataReport* report) {
  const bool text = options.format == "text";
  CT_ASSIGN_OR_RETURN(const learning::ExamplesFile data,
                      ReadData(options.data, report->terms.data()));
  report->summary = learning::Summarise(data, report->terms.data());
  report->hints = learning::Hints(*report->summary, report->terms.data());
  if (report->summary->count > report->terms.max_examples()) {
    report->hints.push_back(
        fmt::format("the campaign counts at most {} examples of a teacher; all {} are trained on, "
                    "and the rest weigh nothing",
                    report->terms.max_examples(), report->summary->count));
  }
  if (text) fmt::print("{}", SummaryText(*report));
  std::fflush(stdout);
  CT_ASSIGN_OR_RETURN(report->trial,
                      TryTraining(runner, report->terms, report->code_path, data, stop));
  if (text) fmt::print("{}", TrialText(*report));
  return OkStatus();
}

StatusOr<int> RunCheckData(const CheckOptions& options) {
  const cli::StopOnSignals signals;
  CT_ASSIGN_OR_RETURN(const learning::RunnerOptions runner, FindWorker(options.worker));
  CT_RETURN_IF_ERROR(CheckDataOptions(options.data));
  DataReport report;
  report.data = options.data.data;
  CT_RETURN_IF_ERROR(options.campaign_file.empty() ? FetchTerms(options, signals.token(), &report)
                                                   : LoadTerms(options, &report));
  if (options.format == "text") fmt::print("{}\n", report.source);
  std::fflush(stdout);  // before an error on the other stream
  const Status checked = CheckData(options, runner, signals.token(), &report);
  if (checked.ok() && options.campaign_file.empty()) report.next = NextCommand(options);
  if (!checked.ok()) report.problem = Message(checked);
  if (options.format == "json") fmt::print("{}\n", ReportJson(report));
  std::fflush(stdout);
  CT_RETURN_IF_ERROR(checked);
  if (options.format == "text" && report.next.empty()) {
    fmt::print("\nready: these data suit {}\n", options.campaign_file);
  } else if (options.format == "text") {
    fmt::print("\nready: join with\n  {}\n", report.next);
  }
  return 0;
}

}  // namespace

void AddCheckData(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command =
      app.add_subcommand("check-data", "Shows whether your data suit a campaign; joins nothing");
  AddJoinOptions(command, &options->join);
  AddWorkerOptions(command, &options->worker);
  AddDataOptions(command, &options->data)->required();
  auto* campaign =
      command->add_option("--campaign", options->campaign, "Which one, if several are running");
  command
      ->add_option("--campaign-file", options->campaign_file,
                   "Instead of a coordinator: the owner's campaign.toml")
      ->excludes(campaign);
  command->add_option("--format", options->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  cli::SetExamples(command,
                   "  crowdteach check-data --invite teacher.invite --data ~/my-images\n"
                   "  crowdteach check-data --data scans.npz:train --campaign 5 --format json\n"
                   "  crowdteach check-data --campaign-file campaign.toml --data table.csv\n");
  command->callback([options, &action] { action = [options] { return RunCheckData(*options); }; });
}

}  // namespace crowdteach::client
