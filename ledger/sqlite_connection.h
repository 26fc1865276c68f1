// A little RAII over the SQLite C API: connections, prepared statements, one use of a statement.
//
// Included only by sqlite_*.cc. Thread-safety: a connection and its statements belong to one thread
// at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::ledger {

struct SqliteDeleter {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using SqliteStatement = std::unique_ptr<sqlite3_stmt, SqliteDeleter>;

// A statement in use; reset and unbound at its end, so that it holds no lock.
class SqliteQuery {
 public:
  explicit SqliteQuery(const SqliteStatement& statement) : statement_(statement.get()) {}
  ~SqliteQuery();
  SqliteQuery(const SqliteQuery&) = delete;
  SqliteQuery& operator=(const SqliteQuery&) = delete;

  // The bytes are not copied and must outlive the query. Positions count from 1, columns from 0.
  SqliteQuery& Bind(int position, std::string_view bytes);
  SqliteQuery& Bind(int position, uint64_t value);  // < 2^63
  int Step() { return sqlite3_step(statement_); }
  uint64_t Integer(int column) const;
  std::string_view Blob(int column) const;  // valid until the next Step

 private:
  sqlite3_stmt* statement_;
};

class SqliteConnection {
 public:
  // The file must exist.
  static StatusOr<SqliteConnection> Open(const std::string& path, bool read_only);

  Status Execute(const std::string& sql);
  Status Prepare(const char* sql, SqliteStatement* out);
  // Runs a statement that returns nothing.
  Status Run(const SqliteStatement& statement) const;
  // The one number a statement returns.
  StatusOr<uint64_t> Number(const SqliteStatement& statement) const;
  StatusOr<uint64_t> Number(const char* sql);
  bool InTransaction() const { return sqlite3_get_autocommit(db_.get()) == 0; }

  // SQLite's own words under the code callers act on: kResourceExhausted (full), kDataLoss
  // (corrupt), kPermissionDenied, kAborted (locked by another process), kUnavailable.
  Status Error(int code) const;

 private:
  std::string path_;
  std::unique_ptr<sqlite3, SqliteDeleter> db_;
};

}  // namespace crowdteach::ledger
