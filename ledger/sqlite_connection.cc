#include "ledger/sqlite_connection.h"

#include <utility>

#include "proto/base/assert.h"

namespace crowdteach::ledger {
namespace {

constexpr int kBusyTimeoutMs = 5000;

}  // namespace

SqliteQuery::~SqliteQuery() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

SqliteQuery& SqliteQuery::Bind(int position, std::string_view bytes) {
  const char* data = bytes.empty() ? "" : bytes.data();  // a null pointer would bind NULL
  CT_ASSERT(sqlite3_bind_blob64(statement_, position, data, bytes.size(), SQLITE_STATIC) ==
            SQLITE_OK);
  return *this;
}

SqliteQuery& SqliteQuery::Bind(int position, uint64_t value) {
  CT_ASSERT(value >> 63 == 0);
  CT_ASSERT(sqlite3_bind_int64(statement_, position, static_cast<sqlite3_int64>(value)) ==
            SQLITE_OK);
  return *this;
}

uint64_t SqliteQuery::Integer(int column) const {
  return static_cast<uint64_t>(sqlite3_column_int64(statement_, column));
}

std::string_view SqliteQuery::Blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  return {static_cast<const char*>(data),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

StatusOr<SqliteConnection> SqliteConnection::Open(const std::string& path, bool read_only) {
  SqliteConnection connection;
  connection.path_ = path;
  sqlite3* db = nullptr;
  const int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  const int code = sqlite3_open_v2(path.c_str(), &db, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  connection.db_.reset(db);
  if (code != SQLITE_OK) return connection.Error(code);
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  // A file from elsewhere may carry views and triggers that call functions: none of them run.
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return connection;
}

Status SqliteConnection::Execute(const std::string& sql) {
  const int code = sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? OkStatus() : Error(code);
}

Status SqliteConnection::Prepare(const char* sql, SqliteStatement* out) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(db_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  out->reset(statement);
  return code == SQLITE_OK ? OkStatus() : Error(code);
}

Status SqliteConnection::Run(const SqliteStatement& statement) const {
  SqliteQuery query(statement);
  const int code = query.Step();
  return code == SQLITE_DONE ? OkStatus() : Error(code);
}

StatusOr<uint64_t> SqliteConnection::Number(const SqliteStatement& statement) const {
  SqliteQuery query(statement);
  const int code = query.Step();
  if (code != SQLITE_ROW) return Error(code);
  return query.Integer(0);
}

StatusOr<uint64_t> SqliteConnection::Number(const char* sql) {
  SqliteStatement statement;
  CT_RETURN_IF_ERROR(Prepare(sql, &statement));
  return Number(statement);
}

Status SqliteConnection::Error(int code) const {
  sqlite3* db = db_.get();
  const std::string text =
      fmt::format("log {}: {} (SQLite {})", path_, db != nullptr ? sqlite3_errmsg(db) : "no memory",
                  db != nullptr ? sqlite3_extended_errcode(db) : code);
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ResourceExhausted("{}: free some space, then try again", text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DataLoss("{}: restore the file from a copy", text);
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return PermissionDenied("{}", text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Aborted("{}: another process writes to this log", text);
    default:
      return Unavailable("{}", text);
  }
}

}  // namespace crowdteach::ledger
