// LogStore in one SQLite database file (WAL, synchronous=FULL, STRICT tables; entries can be
// neither changed nor deleted through SQL).
//
// Thread-safety: Append and Claim belong to one writer thread; the const calls may run on any
// thread beside it, on a connection of their own. A second process may read the same file.
#pragma once

#include <memory>
#include <string>

#include "ledger/log_store.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

class SqliteLogStore : public LogStore {
 public:
  struct Options {
    std::string path;
    bool read_only = false;  // never creates; Claim and Append are kFailedPrecondition
  };
  // Creates the file (mode 0600) if it is missing. kFailedPrecondition: written by a newer
  // crowdteach. kDataLoss: not a database of ours, or corrupt. kPermissionDenied, kUnavailable,
  // kResourceExhausted.
  static StatusOr<std::unique_ptr<SqliteLogStore>> Open(const Options& options);
  ~SqliteLogStore() override;

  StatusOr<uint64_t> Claim() override;
  StatusOr<uint64_t> Size() const override;
  Status Append(const AppendRequest& request) override;
  StatusOr<std::string> ReadEntry(uint64_t index) const override;
  Status ReadEntries(uint64_t begin, uint64_t end,
                     const std::function<Status(uint64_t, std::string_view)>& visit) const override;
  StatusOr<std::optional<std::string>> ReadRow(std::string_view key) const override;
  StatusOr<std::vector<RowWrite>> ReadRows(std::string_view prefix) const override;

  // For tests and operators: SQLite's PRAGMA max_page_count from now on.
  Status LimitPages(uint64_t max_size_pages);

 private:
  struct Impl;
  explicit SqliteLogStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace crowdteach::ledger
