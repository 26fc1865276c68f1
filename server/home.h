// The coordinator's home directory (mode 0700):
//   operator.key, issuer.key, log.key   Ed25519 seeds, mode 0600
//   coordinator.db                      the one database: entries, engine rows
//   head                                the last signed head
//   artifacts/                          blobs by digest
//   accesses                            who fetched which blob (server/access_log.h)
//   tls/                                CA and leaf (proto/wire/certificates.h)
// Thread-safety: plain values.
#pragma once

#include <string>

#include "ledger/signature.h"
#include "proto/base/status.h"

namespace crowdteach::server {

struct Keys {
  ledger::SigningKey operator_key;
  ledger::SigningKey issuer_key;
  ledger::SigningKey log_key;
};

// Creates `home` (mode 0700) if need be. kPermissionDenied: it is there and others may read it.
Status MakeHome(const std::string& home);

std::string AccessLogPath(const std::string& home);

// Loads the three keys; makes those that are missing while there is no database yet. kDataLoss:
// some are missing: the message says which, and that a backup is the only mend.
StatusOr<Keys> LoadOrMakeKeys(const std::string& home);

}  // namespace crowdteach::server
