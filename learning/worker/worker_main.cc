// crowdteach-worker: trains and evaluates models for crowdteach and crowdteachd, in a sandbox.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>

#include "learning/worker/sandbox.h"
#include "learning/worker/service.h"
#include "learning/worker/torch_network.h"
#include "learning/worker/warm_up.h"
#include "proto/base/status.h"

namespace {

using namespace crowdteach;            // NOLINT: a main program
using namespace crowdteach::learning;  // NOLINT

struct Options {
  int socket = -1;
  int threads = 1;
  uint64_t memory_limit_bytes = uint64_t{4} << 30;
  bool no_sandbox = false;
  bool model_code = false;
  bool selftest = false;
};

// Everything before the first foreign byte. Returns what models and batches may take.
StatusOr<uint64_t> Prepare(const Options& options) {
  std::signal(SIGPIPE, SIG_IGN);
  CT_RETURN_IF_ERROR(WarmUp(options.threads));
  CT_RETURN_IF_ERROR(LimitMemory(options.memory_limit_bytes));
  CT_ASSIGN_OR_RETURN(const uint64_t used, PrivateBytes());
  if (!options.no_sandbox) {
    CT_RETURN_IF_ERROR(EnterSandbox());
  }
  return options.memory_limit_bytes - used;
}

int SelfTest(const Options& options) {
  if (const StatusOr<uint64_t> ready = Prepare(options); !ready.ok()) {
    fmt::print(stderr, "crowdteach-worker: {}\n", Message(ready.status()));
    return 1;
  }
  bool all_denied = true;
  ProbeSandbox([&](const SandboxProbe& probe) {
    fmt::print("{}: {}\n", probe.name, probe.outcome);
    std::fflush(stdout);
    all_denied = all_denied && probe.denied;
  });
  return all_denied ? 0 : 1;
}

int Work(const Options& options) {
  const StatusOr<uint64_t> ready = Prepare(options);
  if (!ready.ok()) {
    fmt::print(stderr, "crowdteach-worker: {}\n", Message(ready.status()));
    return SendRefusal(options.socket, ready.status()).ok() ? 1 : 2;
  }
  if (!SendHello(options.socket, !options.no_sandbox).ok()) {
    return 2;
  }
  Serve(options.socket, *ready, options.model_code);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Trains and evaluates models for crowdteach and crowdteachd, which start it and speak to it "
      "over a socket; not for use by hand."};
  app.set_version_flag("--version", fmt::format("crowdteach-worker {} (Torch {})",
                                                CROWDTEACH_VERSION, TorchVersion()));
  app.add_option("--socket-fd", options.socket, "descriptor of the socket to serve")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--threads", options.threads, "threads to compute with")
      ->check(CLI::Range(1, 256));
  app.add_option("--memory-limit", options.memory_limit_bytes, "bytes of private memory in all");
  auto* no_sandbox =
      app.add_flag("--no-sandbox", options.no_sandbox,
                   "run models with this user's own rights, where the kernel refuses the sandbox");
  app.add_flag("--allow-model-code", options.model_code, "load models that are TorchScript code")
      ->excludes(no_sandbox);
  app.add_flag("--selftest-sandbox", options.selftest,
               "enter the sandbox, try what it must deny, print the outcomes");
  CLI11_PARSE(app, argc, argv);
  if (options.selftest) {
    options.no_sandbox = false;
    return SelfTest(options);
  }
  if (options.socket < 0) {
    fmt::print(stderr,
               "crowdteach-worker: it is started by crowdteach and crowdteachd, which give "
               "it a socket (--socket-fd); see --help\n");
    return 2;
  }
  return Work(options);
}
