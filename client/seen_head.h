// What a home knows of its log: the largest head it was shown. Every other head, older or newer,
// must be of the same log: a consistency proof (RFC 9162 §2.1.4) shows it, or it is a fork.
//
// Call order: Load, then See for every head before anything proven by it is believed.
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "client/home.h"
#include "ledger/checkpoint.h"
#include "ledger/note.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::client {

class SeenHead {
 public:
  // Asks the coordinator to show that the log of `old_size` entries begins the one of `size`.
  using AskProof =
      std::function<StatusOr<std::vector<base::Hash>>(uint64_t old_size, uint64_t size)>;

  // kFailedPrecondition: the home belongs to another log than `log_key`'s. kUnavailable: its head
  // is damaged. File errors.
  static StatusOr<SeenHead> Load(Home* home, const ledger::VerifierKey& log_key);

  // `note`: the signed note that `head` was read from; kept if it is the largest. kDataLoss with
  // IsFork: it is not of the log seen before; it is then kept as evidence. What `ask` fails with.
  Status See(std::string_view note, const ledger::Checkpoint& head, const AskProof& ask);
  // The same of the coordinator's newest head, which must not be behind what was seen.
  Status SeeNewest(std::string_view note, const ledger::Checkpoint& head, const AskProof& ask);

 private:
  SeenHead(Home* home, ledger::Checkpoint head) : home_(home), head_(std::move(head)) {}
  Status Fork(std::string_view note, const ledger::Checkpoint& head, std::string_view what) const;

  Home* home_;
  ledger::Checkpoint head_;  // size 0: none yet
};

}  // namespace crowdteach::client
