// Whom an auditor asks and whom it trusts: from an invite, a home that keeps one, or the command
// line. Only in the program, as it knows invites. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ledger/key_home.h"
#include "ledger/note.h"
#include "proto/base/status.h"
#include "proto/wire/invite.h"

namespace crowdteach::audit {

struct TrustOptions {
  std::string address;      // HOST:PORT or https://…; empty: the invite's
  std::string key;          // the log's verifier key, or a file with it; empty: the invite's
  std::string invite_path;  // empty: the home's, if it has one
  std::string home;         // empty: none is opened
};

struct Trust {
  std::vector<std::string> addresses;  // to try in order; at least one
  std::optional<ledger::VerifierKey> key;
  std::optional<ledger::KeyHome> home;
  std::optional<wire::Invite> invite;
  std::string invite_text;
  bool invite_is_new = false;  // not the one that the home keeps
};

// kInvalidArgument: neither address nor invite, an invite without HTTPS addresses, --key and invite
// that disagree. File errors; KeyHome's.
StatusOr<Trust> FindTrust(const TrustOptions& options);

// What the home remembers of its log, as `crowdteach` does: the invite once it has let us in, the
// largest head seen, the receipt of its own account.
Status KeepInvite(const Trust& trust);
StatusOr<std::string> LoadHead(const ledger::KeyHome& home);  // "" if none
Status SaveHead(const ledger::KeyHome& home, const std::string& note);
Status SaveReceipt(const ledger::KeyHome& home, uint64_t index, const std::string& receipt);

}  // namespace crowdteach::audit
