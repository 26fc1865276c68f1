// The coordinator's log: validates, appends durably, signs the head, answers with receipts.
//
//   Open → (Draft → … → Commit | Discard)*
//
// Open replays every entry of the store through State (so a store that was tampered with refuses to
// start) and compares root and size with the last signed head in `head_path`. Draft puts one
// intent's entry into the pending batch after State has accepted it; Commit writes the batch and
// the caller's rows in one transaction and then signs the new head; Discard drops the batch.
//
// Not thread-safe: it belongs to the one writer thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/entry.h"
#include "ledger/log_store.h"
#include "ledger/merkle.h"
#include "ledger/signature.h"
#include "ledger/state.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

class Log {
 public:
  struct Options {
    std::string head_path;  // where the last signed head is kept
  };

  // `store` must outlive the log; `log_key` signs heads under `origin`. kDataLoss: an entry is
  // illegal, or the store is behind or beside the last signed head (a restored backup, a rollback:
  // IsFork), or that head is missing. kFailedPrecondition: the log is another key's. Errors of the
  // store.
  static StatusOr<std::unique_ptr<Log>> Open(LogStore* store, SigningKey log_key,
                                             std::string origin, Options options);

  // The state with the pending batch applied.
  const State& state() const;

  // Adds one entry to the pending batch; its time is max(now_ms, previous). Errors as
  // State::Postings; the batch is then as before.
  StatusOr<LoggedEntry> Draft(const v1::SignedIntent& intent, uint64_t now_ms);
  size_t pending() const;
  // On an error of the store (kResourceExhausted, kUnavailable, kAborted) the batch is dropped and
  // the state is what it was before it: draft again and retry. Costs a replay of the log.
  Status Commit(std::vector<RowWrite> rows);
  // Drops the batch. Costs a replay of the log if there is one.
  Status Discard();
  // Not OK once the log cannot go on: the head could not be written after a commit (the entries are
  // then in the store), or the store could not be read back. Every call answers with it; stop, and
  // Open again when the cause is gone.
  Status health() const;

  uint64_t size() const;           // committed entries
  std::string checkpoint() const;  // the signed note of the committed size; "" when empty
  // The tlog-proof of a committed entry against the current checkpoint. kNotFound.
  StatusOr<std::string> Receipt(uint64_t index) const;
  // Consistency hashes between two sizes. kOutOfRange unless old_size <= size <= this->size().
  StatusOr<std::vector<base::Hash>> ConsistencyProof(uint64_t old_size, uint64_t size) const;

 private:
  struct Impl;
  explicit Log(std::unique_ptr<Impl> impl);

 public:
  ~Log();

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace crowdteach::ledger
