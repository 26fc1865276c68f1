// A trainer that is somebody's own program: it reads base weights and writes new ones, both as
// safetensors. It runs with its owner's rights and is not confined; a campaign brings no code.
//
// Not thread-safe; only the stop token may be used from another thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/teacher.h"
#include "client/trainer_command.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct ProgramTrainerOptions {
  std::string command;  // as SplitCommand takes it
  std::string data;     // what {data} stands for
  // How many examples are claimed, once the campaign is known.
  std::function<StatusOr<uint64_t>(const Campaign&)> count_examples;
  std::optional<std::chrono::milliseconds> timeout;  // none: until the task's deadline
};

// The placeholders and what each stands for, lines for --help. In its environment the program has
// the same as CROWDTEACH_BASE, CROWDTEACH_OUT and so on.
extern const std::string_view kPlaceholderHelp;

class ProgramTrainer : public Trainer {
 public:
  // Checks the command and looks for the program. As SplitCommand, Substitute and FindProgram.
  static StatusOr<std::unique_ptr<ProgramTrainer>> Make(ProgramTrainerOptions options);

  StatusOr<uint64_t> Prepare(const Campaign& campaign) override;
  // kAborted: the program failed, took too long, or wrote no weights of this model; the message has
  // the last lines it printed. Otherwise errors of starting it, or of the scratch folder.
  StatusOr<TrainingSummary> Train(const Task& task, std::span<float> weights, Progress& progress,
                                  std::stop_token stop) override;

 private:
  ProgramTrainer(ProgramTrainerOptions options, std::vector<std::string> words)
      : options_(std::move(options)), words_(std::move(words)) {}
  Placeholders ValuesOf(const Task& task) const;

  const ProgramTrainerOptions options_;
  const std::vector<std::string> words_;  // the first is an absolute path
};

}  // namespace crowdteach::client
