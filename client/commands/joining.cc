#include "client/commands/joining.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "proto/cli/cli.h"
#include "proto/wire/invite.h"

namespace crowdteach::client {
void AddJoinOptions(CLI::App* command, JoinOptions* options) {
  options->home = JoinOptions::DefaultHome();
  command->add_option("--home", options->home, "Folder of your key and receipts (mode 0700)")
      ->capture_default_str();
  command->add_option("--invite", options->invite_path,
                      "Invite file; needed the first time, kept in the home");
  command
      ->add_option("--server", options->server,
                   "Where the coordinator is now, if it moved; kept in the home once it answers")
      ->type_name("HOST:PORT")
      ->check([](const std::string& text) { return Message(wire::CheckPublicAddress(text)); });
  command->add_option("--name", options->name,
                      fmt::format("What a new account is called (default: {})", DefaultName()));
}

void AddWorkerOptions(CLI::App* command, WorkerOptions* options) {
  command->add_option("--worker", options->path,
                      "The program crowdteach-worker (default: beside this one)");
  command->add_option("--threads", options->threads, "Threads to train with")
      ->capture_default_str()
      ->check(cli::InRange(1, 256));
  auto* no_sandbox =
      command->add_flag("--no-sandbox", options->no_sandbox,
                        "Run models with your own rights, where the kernel has no seccomp");
  command
      ->add_flag("--allow-model-code", options->allow_model_code,
                 "Run a model that is TorchScript code, in the sandbox; trust its owner")
      ->excludes(no_sandbox);
}

StatusOr<learning::RunnerOptions> FindWorker(const WorkerOptions& options) {
  learning::RunnerOptions runner;
  runner.threads = options.threads;
  runner.sandbox = !options.no_sandbox;
  runner.allow_model_code = options.allow_model_code;
  runner.worker_path = options.path;
  if (!options.path.empty()) return runner;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  runner.worker_path = (self.parent_path() / "crowdteach-worker").string();
  if (!error && access(runner.worker_path.c_str(), X_OK) == 0) return runner;
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t colon = std::min(rest.find(':'), rest.size());
    runner.worker_path = std::string(rest.substr(0, colon)) + "/crowdteach-worker";
    if (access(runner.worker_path.c_str(), X_OK) == 0) return runner;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return NotFound("there is no crowdteach-worker beside this program nor in PATH; pass --worker");
}

}  // namespace crowdteach::client
