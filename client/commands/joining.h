// The options of every command that talks to a coordinator, and of those that run a model.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "client/joining.h"
#include "learning/model_runner.h"
#include "proto/base/status.h"

namespace crowdteach::client {

void AddJoinOptions(CLI::App* command, JoinOptions* options);

struct WorkerOptions {
  std::string path;  // default: beside this program, then in PATH
  int threads = 1;
  bool no_sandbox = false;
  bool allow_model_code = false;
};
void AddWorkerOptions(CLI::App* command, WorkerOptions* options);
// kNotFound: there is no crowdteach-worker.
StatusOr<learning::RunnerOptions> FindWorker(const WorkerOptions& options);

}  // namespace crowdteach::client
