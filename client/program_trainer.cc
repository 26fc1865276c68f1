#include "client/program_trainer.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "client/program.h"
#include "client/public_terms.h"
#include "client/task_json.h"
#include "client/training_log.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"
#include "proto/base/duration.h"
#include "proto/base/file.h"

namespace crowdteach::client {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// "base" → "CROWDTEACH_BASE=…".
std::vector<std::string> EnvironmentOf(const Placeholders& values) {
  std::vector<std::string> environment;
  for (const auto& [name, value] : values) {
    std::string variable = "CROWDTEACH_" + name;
    for (char& c : variable) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    environment.push_back(fmt::format("{}={}", variable, value));
  }
  return environment;
}

// Where the tasks of this home are at work, whatever its path was called.
std::string OwnerOf(const Task& task) {
  std::error_code error;
  const auto folder = std::filesystem::canonical(task.scratch, error);
  return "CROWDTEACH_AT_WORK=" + (error ? task.scratch : folder.string());
}

// What the program gets to read. The base model is a copy of its own: one that is written to by
// mistake would spoil the next attempt.
Status WriteInputs(const Task& task, const Placeholders& values) {
  CT_RETURN_IF_ERROR(
      base::WriteFileDurably(values.at("model"), task.campaign.terms.model_toml, 0600));
  CT_RETURN_IF_ERROR(base::WriteFileDurably(values.at("terms"), TaskJson(task), 0600));
  std::error_code error;
  std::filesystem::copy_file(task.base_path, values.at("base"), error);
  return error ? ErrnoStatus(error.value(), values.at("base")) : OkStatus();
}

Status ReadOutput(const Task& task, const std::string& path, std::span<float> weights) {
  CT_ASSIGN_OR_RETURN(const learning::ModelSpec spec,
                      learning::ParseModelSpec(task.campaign.terms.model_toml));
  const Status read = learning::ReadWeights(path, learning::LayoutOf(spec), weights);
  if (absl::IsNotFound(read)) {
    return Aborted("the trainer ended well, but wrote no weights to {{out}}, {}", path);
  }
  if (!read.ok()) return Aborted("the weights of the trainer: {}", Message(read));
  return OkStatus();
}

}  // namespace

const std::string_view kPlaceholderHelp =
    "Placeholders of --trainer (also in the environment, as CROWDTEACH_BASE and so on):\n"
    "  {base}      the weights to better, a safetensors file; a copy that is the program's own\n"
    "  {out}       where it writes the new ones: a safetensors file with the same F32 tensors\n"
    "  {data}      what --data says\n"
    "  {model}     the architecture, model.toml\n"
    "  {code}      of a model as code: its TorchScript file; otherwise empty\n"
    "  {terms}     data, local training and tensors by the campaign's terms, a JSON file\n"
    "  {campaign}  {round}  {seed}   numbers; the seed is another in each round\n"
    "  {seconds}   how long it may take\n"
    "  {scratch}   a folder for its files, removed when the round is over\n"
    "No shell: words are split at spaces outside quotes. The program runs in this folder, with "
    "your\n"
    "rights. What it prints is shown; a line `progress 120/400 loss 0.53` moves the progress bar.\n"
    "When it fails, the round is sat out and the next one tried.\n";

StatusOr<std::unique_ptr<ProgramTrainer>> ProgramTrainer::Make(ProgramTrainerOptions options) {
  CT_ASSIGN_OR_RETURN(std::vector<std::string> words, SplitCommand(options.command));
  const Placeholders names = {{"base", ""},     {"out", ""},     {"data", ""},   {"model", ""},
                              {"code", ""},     {"terms", ""},   {"seed", ""},   {"round", ""},
                              {"campaign", ""}, {"scratch", ""}, {"seconds", ""}};
  for (const std::string& word : words) CT_RETURN_IF_ERROR(Substitute(word, names).status());
  CT_ASSIGN_OR_RETURN(words[0], FindProgram(words[0]));
  return std::unique_ptr<ProgramTrainer>(new ProgramTrainer(std::move(options), std::move(words)));
}

StatusOr<uint64_t> ProgramTrainer::Prepare(const Campaign& campaign) {
  return options_.count_examples(campaign);
}

Placeholders ProgramTrainer::ValuesOf(const Task& task) const {
  const milliseconds left = options_.timeout.value_or(std::chrono::duration_cast<milliseconds>(
      std::max(task.deadline - Clock::now(), Clock::duration::zero())));
  return {{"base", task.scratch + "/base.safetensors"},
          {"out", task.scratch + "/out.safetensors"},
          {"data", options_.data},
          {"model", task.scratch + "/model.toml"},
          {"code", task.campaign.model_code_path},
          {"terms", task.scratch + "/terms.json"},
          {"seed", fmt::format("{}", task.seed)},
          {"round", fmt::format("{}", task.round)},
          {"campaign", fmt::format("{}", task.campaign.number)},
          {"scratch", task.scratch},
          {"seconds", fmt::format("{}", left.count() / 1000)}};
}

StatusOr<TrainingSummary> ProgramTrainer::Train(const Task& task, std::span<float> weights,
                                                Progress& progress, std::stop_token stop) {
  const Placeholders values = ValuesOf(task);
  CT_RETURN_IF_ERROR(WriteInputs(task, values));
  ProgramCall call{.words = {words_[0]}, .environment = EnvironmentOf(values)};
  call.environment.push_back(OwnerOf(task));
  // A teach that was killed left its program at work, which would write into this round's folder.
  KillProgramsWith(call.environment.back());
  for (size_t i = 1; i < words_.size(); ++i) {
    CT_ASSIGN_OR_RETURN(std::string word, Substitute(words_[i], values));
    call.words.push_back(std::move(word));
  }
  const Clock::time_point begun = Clock::now();
  call.deadline = options_.timeout.has_value() ? begun + *options_.timeout : task.deadline;
  TrainingSummary summary;
  TrainingLog log(
      [&](const ProgressLine& line) {
        summary.mean_loss_nats = line.loss_nats;
        progress.Step(line.done, line.total, line.loss_nats);
      },
      [&](std::string_view line) { progress.Say(line); });
  CT_ASSIGN_OR_RETURN(const ProgramEnd end,
                      RunProgram(
                          call, [&log](std::string_view bytes) { log.Take(bytes); }, stop));
  log.End();
  if (end.why == ProgramEnd::Why::kStopped) return absl::CancelledError("stopped");
  if (end.why == ProgramEnd::Why::kDeadline) {
    const auto took = std::chrono::duration_cast<milliseconds>(call.deadline - begun).count();
    return Aborted("the trainer was ended because its time, {:.1f} s, was up{}",
                   static_cast<double>(took) * 1e-3, log.Tail());
  }
  if (!end.ok()) return Aborted("the trainer failed: {}{}", end.HowItEnded(), log.Tail());
  CT_RETURN_IF_ERROR(ReadOutput(task, values.at("out"), weights));
  return summary;
}

}  // namespace crowdteach::client
