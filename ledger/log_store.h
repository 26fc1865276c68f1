// Where a log is kept: entries, and rows of whoever shares the transaction (the coordinator's
// engine state and outbox). One writer; readers may be on other threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

// One row of the coordinator's own: a key, and its new value or its removal.
struct RowWrite {
  std::string key;
  std::optional<std::string> value;
};

struct AppendRequest {
  uint64_t epoch = 0;  // of the writer, from Claim()
  uint64_t size = 0;   // entries before this append
  std::vector<std::string> entries;
  std::vector<RowWrite> rows;
};

class LogStore {
 public:
  virtual ~LogStore() = default;

  // Becomes the one writer: a writer with an older epoch can no longer append.
  virtual StatusOr<uint64_t> Claim() = 0;
  virtual StatusOr<uint64_t> Size() const = 0;

  // All of it durably, or nothing. kAborted: another writer, or `size` is not the log's size.
  // kResourceExhausted: disk full. kUnavailable: other I/O errors. After an error the caller must
  // take it that nothing was written, and may try again.
  virtual Status Append(const AppendRequest& request) = 0;

  // kNotFound: index >= size.
  virtual StatusOr<std::string> ReadEntry(uint64_t index) const = 0;
  // Calls `visit(index, bytes)` for [begin, end) in order; stops at its first error.
  virtual Status ReadEntries(
      uint64_t begin, uint64_t end,
      const std::function<Status(uint64_t, std::string_view)>& visit) const = 0;

  virtual StatusOr<std::optional<std::string>> ReadRow(std::string_view key) const = 0;
  // All rows whose key starts with `prefix`, by key.
  virtual StatusOr<std::vector<RowWrite>> ReadRows(std::string_view prefix) const = 0;
};

}  // namespace crowdteach::ledger
