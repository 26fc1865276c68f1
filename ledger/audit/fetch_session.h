// An account's session on a coordinator's HTTPS port, over a connection whose certificate is the
// invite's: claim and token are coordinator.proto's. Only in the program. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "crowdteach/v1/coordinator.pb.h"
#include "ledger/http_fetch.h"
#include "ledger/key_home.h"
#include "ledger/note.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::audit {

// An account that may be opened if the key has none.
struct AccountOffer {
  std::string token_seed;
  uint64_t invite = 0;  // entry
  std::string name;
};

class FetchSession {
 public:
  struct Parties {
    ledger::HttpsClient* client;  // with a pinned CA
    const ledger::KeyHome* home;
    ledger::VerifierKey log;
    base::Hash genesis_hash;  // of the verified log
    base::Hash ca_digest;
  };
  FetchSession(Parties parties, std::optional<AccountOffer> offer)
      : parties_(std::move(parties)), offer_(std::move(offer)) {}

  // Opens it, and the account before if there is none and one is offered. From the peer:
  // kFailedPrecondition (refused; versions), kNotFound (no account, none offered), HttpsClient's.
  // Called again when the coordinator has forgotten the session.
  Status Open();

  const std::string& token() const { return token_; }  // hex
  uint64_t account() const { return account_; }
  v1::Role role() const { return role_; }
  // Its ACCOUNT_OPEN, if Open made it: index and receipt, verified.
  uint64_t opened_entry() const { return opened_entry_; }
  const std::string& receipt() const { return receipt_; }

 private:
  StatusOr<v1::HelloReply> Hello();
  Status OpenWith(const std::string& nonce);
  Status OpenAccount(uint64_t log_time_ms);

  Parties parties_;
  std::optional<AccountOffer> offer_;
  std::string token_;
  uint64_t account_ = 0;
  v1::Role role_ = v1::ROLE_UNSPECIFIED;
  uint64_t opened_entry_ = 0;
  std::string receipt_;
};

}  // namespace crowdteach::audit
