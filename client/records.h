// What a home holds, read beside whoever uses it: files there are replaced whole, so nothing half
// written is seen, and no lock is taken. Changes nothing and asks nobody.
//
// Thread-safety: pure functions over files.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/entry.h"
#include "ledger/note.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct KeptReceipt {
  uint64_t index = 0;  // as its name says
  std::string path;
  Status fault;  // why it is no receipt of that entry, or does not verify; then `entry` is empty
  ledger::LoggedEntry entry;
};

// Of an update that was made: what is still to be done with it.
struct PendingRound {
  uint64_t campaign = 0;
  uint32_t round = 0;
  std::optional<uint64_t> committed;  // entries
  std::optional<uint64_t> revealed;
};

struct Records {
  std::string home;
  std::string public_key;
  std::vector<KeptReceipt> receipts;  // ascending
  std::vector<PendingRound> rounds;   // of rounds not known to be over
  std::vector<PendingRound> over;     // of the others: nothing is to be done with these any more
  std::optional<v1::Intent> pending;  // sent, fate unknown
  uint64_t log_size = 0;              // of the largest head seen
  uint64_t fetched = 0;               // receipts are complete up to this entry

  std::vector<const ledger::LoggedEntry*> Entries() const;  // the good ones
  // The account, if its ACCOUNT_OPEN is here.
  const ledger::LoggedEntry* Account() const;
};

// Which campaign and round an entry is of; 0 where it is of none.
uint64_t CampaignOf(const ledger::LoggedEntry& logged);
uint32_t RoundOf(const v1::Intent& intent);

// `log`: what the receipts and the head are verified against; none: they are only read. kNotFound:
// there is no such home. A receipt that is wrong is a fault in its place, not an error.
StatusOr<Records> ReadRecords(const std::string& home,
                              const std::optional<ledger::VerifierKey>& log);

}  // namespace crowdteach::client
