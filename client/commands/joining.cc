#include "client/commands/joining.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "proto/base/file.h"
#include "proto/wire/certificates.h"
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

struct FoundInvite {
  std::string text;
  wire::Invite invite;
  bool is_new = false;  // not the one kept in the home
};

StatusOr<FoundInvite> FindInvite(const JoinOptions& options, const Home& home) {
  FoundInvite found;
  found.is_new = !options.invite_path.empty();
  const std::string path = found.is_new ? options.invite_path : home.path() + "/invite.toml";
  StatusOr<std::string> text = base::ReadFile(path, wire::kMaxInviteBytes);
  if (!found.is_new && absl::IsNotFound(text.status())) {
    return InvalidArgument(
        "{} knows no coordinator yet; pass --invite FILE, which the operator "
        "makes with: crowdteachd invite",
        options.home);
  }
  CT_RETURN_IF_ERROR(text.status());
  found.text = *std::move(text);
  CT_ASSIGN_OR_RETURN(found.invite, wire::ParseInvite(found.text, path));
  const Status ca = wire::CaDigest(found.invite.ca_pem).status();
  if (!ca.ok()) return InvalidArgument("{}: ca: {}; get the invite again", path, Message(ca));
  return found;
}

Status CheckRole(const JoinOptions& options, v1::Role wanted, v1::Role role) {
  if (wanted == v1::ROLE_UNSPECIFIED || wanted == role) return OkStatus();
  return FailedPrecondition(
      "this is for the role {}, and {} has the role {}; ask the operator for such an invite and "
      "use "
      "it with another --home",
      wire::RoleName(wanted),
      options.invite_path.empty() ? options.home : fmt::format("{} or its invite", options.home),
      wire::RoleName(role));
}

}  // namespace

void AddJoinOptions(CLI::App* command, JoinOptions* options) {
  options->home = DefaultHome();
  command->add_option("--home", options->home, "Folder of your key and receipts (mode 0700)")
      ->capture_default_str();
  command->add_option("--invite", options->invite_path,
                      "Invite file; needed the first time, kept in the home");
  command->add_option("--name", options->name,
                      fmt::format("What a new account is called (default: {})", DefaultName()));
}

StatusOr<Joined> Join(const JoinOptions& options, v1::Role role, Account account) {
  Joined joined;
  CT_ASSIGN_OR_RETURN(joined.home, Home::Open(options.home));
  CT_ASSIGN_OR_RETURN(const FoundInvite found, FindInvite(options, *joined.home));
  const wire::Invite& invite = found.invite;
  joined.session_options = {invite.addresses, invite.ca_pem, invite.log_vkey};
  CT_ASSIGN_OR_RETURN(joined.session, Session::Connect(joined.home.get(), joined.session_options));
  Session* const session = joined.session.get();
  if (session->account() == 0) {
    if (account == Account::kMustExist) {
      return FailedPrecondition("{} has no account yet; open one with: crowdteach join",
                                options.home);
    }
    // Before the invite is used up for something else.
    CT_RETURN_IF_ERROR(CheckRole(options, role, invite.role));
    CT_ASSIGN_OR_RETURN(const auto token, ledger::SigningKey::FromSeed(invite.token_seed));
    CT_RETURN_IF_ERROR(session->Register(token, invite.index,
                                         options.name.empty() ? DefaultName() : options.name));
  }
  // Only now: an invite that is no good must not replace one that is.
  if (found.is_new) CT_RETURN_IF_ERROR(joined.home->SaveInvite(found.text));
  CT_RETURN_IF_ERROR(CheckRole(options, role, session->role()));
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
