// What everything that talks to a coordinator does first: open the home, read the invite, connect,
// open the account if there is none.
#pragma once

#include <memory>
#include <string>

#include "client/home.h"
#include "client/session.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct JoinOptions {
  static std::string DefaultHome();  // ~/.crowdteach
  std::string home;
  std::string invite_path;  // empty: the invite kept in the home
  std::string server;       // empty: where the invite, or the coordinator since, says
  std::string name;         // of a new account; empty: the user's, or what is free beside it
};
std::string DefaultName();  // the user's

struct Joined {
  std::unique_ptr<Home> home;
  SessionOptions session_options;
  std::unique_ptr<Session> session;
};
enum class Account {
  kMayOpen,    // with the invite, if there is none yet
  kMustExist,  // looking at something uses up no invite
  kLookOn,     // the same, and nothing is signed: also beside a process that works in the home
  kNotNeeded,  // only public things are looked at: the invite, even a new one, is left as it is
};
// `role`: what the command needs; the message says whom to ask for such an invite.
// v1::ROLE_UNSPECIFIED: any. A new invite is kept in the home once it has let us in.
StatusOr<Joined> Join(const JoinOptions& options, v1::Role role, Account account);

}  // namespace crowdteach::client
