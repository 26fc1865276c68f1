// What every command that talks to a coordinator does first: open the home, read the invite,
// connect, open the account if there is none.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "client/home.h"
#include "client/session.h"
#include "learning/model_runner.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct JoinOptions {
  std::string home;         // default: ~/.crowdteach
  std::string invite_path;  // empty: the invite kept in the home
  std::string server;       // empty: where the invite, or the coordinator since, says
  std::string name;         // of a new account; empty: the user's
};
void AddJoinOptions(CLI::App* command, JoinOptions* options);

struct Joined {
  std::unique_ptr<Home> home;
  SessionOptions session_options;
  std::unique_ptr<Session> session;
};
enum class Account {
  kMayOpen,    // with the invite, if there is none yet
  kMustExist,  // looking at something uses up no invite
};
// `role`: what the command needs; the message says whom to ask for such an invite.
// v1::ROLE_UNSPECIFIED: any. The invite is kept in the home once it has let us in.
StatusOr<Joined> Join(const JoinOptions& options, v1::Role role, Account account);

struct WorkerOptions {
  std::string path;  // default: beside this program, then in PATH
  int threads = 1;
  bool no_sandbox = false;
};
void AddWorkerOptions(CLI::App* command, WorkerOptions* options);
// kNotFound: there is no crowdteach-worker.
StatusOr<learning::RunnerOptions> FindWorker(const WorkerOptions& options);

}  // namespace crowdteach::client
