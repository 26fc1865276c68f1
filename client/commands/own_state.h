// What status, wallet and receipts begin with: the home as it lies there, brought up to date from
// the coordinator where it can be reached.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "client/commands/joining.h"
#include "client/records.h"
#include "client/wallet.h"
#include "crowdteach/v1/coordinator.pb.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct OwnOptions {
  JoinOptions join;
  bool offline = false;
  std::string format = "text";
};
// --home, --format, and --server and --offline where the command `may_ask`.
void AddOwnOptions(CLI::App* command, OwnOptions* options, bool may_ask);

// The log key of the invite kept in the home. kFailedPrecondition: nobody has joined with this
// home.
StatusOr<ledger::VerifierKey> OwnLogKey(const std::string& home);

struct OwnState {
  Records records;
  uint64_t account = 0;  // 0: none yet
  // OK: up to date. Else why it is only what the home held: nobody was asked (kCancelled), the
  // coordinator cannot be reached or let us in, or the disk is full.
  Status fresh;
  std::optional<v1::ListCampaignsReply> campaigns;

  // kExitOk also where nobody was to be asked; else that of `fresh`.
  int exit_code() const;
  // "up to date", or why not.
  std::string Freshness() const;
};
// Errors are those that make what is shown untrue: a fork, a home that cannot be read.
StatusOr<OwnState> LoadOwnState(const OwnOptions& options);

// One line with the seconds and "UTC".
std::string ShortTime(uint64_t time_ms);

}  // namespace crowdteach::client
