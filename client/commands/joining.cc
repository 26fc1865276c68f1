#include "client/commands/joining.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "proto/base/file.h"
#include "proto/wire/invite.h"

namespace crowdteach::client {
namespace {

std::string DefaultHome() {
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "." : home) + "/.crowdteach";
}

std::string DefaultName() {
  const char* user = std::getenv("USER");
  return user == nullptr || *user == '\0' ? "anonymous" : user;
}

StatusOr<std::string> InviteText(const JoinOptions& options, Home* home) {
  if (!options.invite_path.empty()) {
    CT_ASSIGN_OR_RETURN(std::string text,
                        base::ReadFile(options.invite_path, wire::kMaxInviteBytes));
    CT_RETURN_IF_ERROR(wire::ParseInvite(text, options.invite_path).status());
    CT_RETURN_IF_ERROR(home->SaveInvite(text));
    return text;
  }
  StatusOr<std::string> kept = home->LoadInvite();
  if (absl::IsNotFound(kept.status())) {
    return InvalidArgument(
        "{} knows no coordinator yet; pass --invite FILE, which the operator "
        "makes with: crowdteachd invite",
        options.home);
  }
  return kept;
}

}  // namespace

void AddJoinOptions(CLI::App* command, JoinOptions* options) {
  options->home = DefaultHome();
  options->name = DefaultName();
  command->add_option("--home", options->home, "Folder of your key and receipts (mode 0700)")
      ->capture_default_str();
  command->add_option("--invite", options->invite_path,
                      "Invite file; needed the first time, kept in the home");
  command->add_option("--name", options->name, "What a new account is called")
      ->capture_default_str();
}

StatusOr<Joined> Join(const JoinOptions& options, v1::Role role) {
  Joined joined;
  CT_ASSIGN_OR_RETURN(joined.home, Home::Open(options.home));
  CT_ASSIGN_OR_RETURN(const std::string text, InviteText(options, joined.home.get()));
  CT_ASSIGN_OR_RETURN(const wire::Invite invite,
                      wire::ParseInvite(text, options.home + "/invite.toml"));
  joined.session_options = {invite.addresses, invite.ca_pem, invite.log_vkey};
  CT_ASSIGN_OR_RETURN(joined.session, Session::Connect(joined.home.get(), joined.session_options));
  if (joined.session->account() == 0) {
    CT_ASSIGN_OR_RETURN(const auto token, ledger::SigningKey::FromSeed(invite.token_seed));
    CT_RETURN_IF_ERROR(joined.session->Register(token, invite.index, options.name));
  }
  if (role != v1::ROLE_UNSPECIFIED && joined.session->role() != role) {
    return FailedPrecondition(
        "account {} of {} has the role {}, this needs {}; ask the operator "
        "for such an invite and use it with another --home",
        joined.session->account(), options.home, wire::RoleName(joined.session->role()),
        wire::RoleName(role));
  }
  return joined;
}

void AddWorkerOptions(CLI::App* command, WorkerOptions* options) {
  command->add_option("--worker", options->path,
                      "The program crowdteach-worker (default: beside this one)");
  command->add_option("--threads", options->threads, "Threads to train with")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command->add_flag("--no-sandbox", options->no_sandbox,
                    "Run models with your own rights, where the kernel has no seccomp");
}

StatusOr<learning::RunnerOptions> FindWorker(const WorkerOptions& options) {
  learning::RunnerOptions runner;
  runner.threads = options.threads;
  runner.sandbox = !options.no_sandbox;
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
