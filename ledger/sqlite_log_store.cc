#include "ledger/sqlite_log_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <limits>
#include <mutex>
#include <utility>

#include "ledger/file_io.h"
#include "ledger/sqlite_connection.h"

namespace crowdteach::ledger {
namespace {

constexpr int kApplicationId = 0x43544c47;  // "CTLG": not somebody else's database
constexpr int kUserVersion = 1;

constexpr const char* kSchema = R"sql(
CREATE TABLE entries (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TRIGGER entries_only_append BEFORE INSERT ON entries
  WHEN NEW.idx <> (SELECT ifnull(max(idx) + 1, 0) FROM entries)
  BEGIN SELECT RAISE(ABORT, 'ledger entries are only appended'); END;
CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
  BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END;
CREATE TRIGGER entries_never_leave BEFORE DELETE ON entries
  BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END;
CREATE TABLE writer (id INTEGER PRIMARY KEY CHECK (id = 0), epoch INTEGER NOT NULL) STRICT;
INSERT INTO writer VALUES (0, 0);
CREATE TABLE rows (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
)sql";

// Made here and not by SQLite, so that nobody else may read it. Never opened when it is there:
// closing any descriptor of the file would drop the locks other connections of this process hold.
Status MakeFile(const std::string& path) {
  const Status made = OpenFile(path, O_RDWR | O_CREAT | O_EXCL, 0600).status();
  return absl::IsAlreadyExists(made) ? OkStatus() : Annotate(made, "log");
}

Status CreateSchema(SqliteConnection& writer) {
  CT_RETURN_IF_ERROR(writer.Execute("BEGIN IMMEDIATE"));
  const Status made = [&]() -> Status {
    CT_ASSIGN_OR_RETURN(const uint64_t version, writer.Number("PRAGMA user_version"));
    CT_ASSIGN_OR_RETURN(const uint64_t objects,
                        writer.Number("SELECT count(*) FROM sqlite_schema"));
    if (version != 0 || objects != 0) return OkStatus();  // not a new file
    CT_RETURN_IF_ERROR(writer.Execute(kSchema));
    CT_RETURN_IF_ERROR(writer.Execute(fmt::format("PRAGMA application_id={}", kApplicationId)));
    return writer.Execute(fmt::format("PRAGMA user_version={}", kUserVersion));
  }();
  if (!made.ok()) {
    if (writer.InTransaction()) writer.Execute("ROLLBACK").IgnoreError();
    return made;
  }
  return writer.Execute("COMMIT");
}

Status CheckVersion(SqliteConnection& connection, const std::string& path) {
  CT_ASSIGN_OR_RETURN(const uint64_t application, connection.Number("PRAGMA application_id"));
  CT_ASSIGN_OR_RETURN(const uint64_t version, connection.Number("PRAGMA user_version"));
  if (application != kApplicationId || version == 0) {
    return DataLoss("log {}: an SQLite database, but not a log of crowdteach", path);
  }
  if (version > kUserVersion) {
    return FailedPrecondition(
        "log {}: written by a newer crowdteach (format {}, this one knows {}): upgrade", path,
        version, kUserVersion);
  }
  return OkStatus();
}

// SQLite answers with the mode it took: some file systems have no shared memory for a WAL.
Status MakeDurable(SqliteConnection& writer, const std::string& path) {
  SqliteStatement statement;
  CT_RETURN_IF_ERROR(writer.Prepare("PRAGMA journal_mode=WAL", &statement));
  {
    SqliteQuery query(statement);
    const int code = query.Step();
    if (code != SQLITE_ROW) return writer.Error(code);
    if (query.Blob(0) != "wal") {
      return FailedPrecondition(
          "log {}: its file system cannot hold a write-ahead log: use a local disk", path);
    }
  }
  return writer.Execute("PRAGMA synchronous=FULL");
}

// The least string above all that start with `prefix`; none if there is no such.
std::optional<std::string> PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::nullopt;
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace

struct SqliteLogStore::Impl {
  std::string path;
  bool read_only = false;
  std::optional<SqliteConnection> writer;
  SqliteStatement begin, commit, rollback, size, epoch, claim, insert, put, drop;

  // Readers on any thread share one connection of their own, one call at a time.
  mutable std::mutex reader_mutex;
  std::optional<SqliteConnection> reader;
  SqliteStatement read_size, read_entry, read_range, read_row, read_rows, read_rows_from;

  Status Open();
  Status PrepareWriter();
  Status PrepareReader();
  Status CheckClaim(const AppendRequest& request) const;
  Status WriteAll(const AppendRequest& request) const;
  void Rollback() const;
};

Status SqliteLogStore::Impl::PrepareWriter() {
  SqliteConnection& w = *writer;
  CT_RETURN_IF_ERROR(w.Prepare("BEGIN IMMEDIATE", &begin));
  CT_RETURN_IF_ERROR(w.Prepare("COMMIT", &commit));
  CT_RETURN_IF_ERROR(w.Prepare("ROLLBACK", &rollback));
  CT_RETURN_IF_ERROR(w.Prepare("SELECT ifnull(max(idx) + 1, 0) FROM entries", &size));
  CT_RETURN_IF_ERROR(w.Prepare("SELECT epoch FROM writer", &epoch));
  CT_RETURN_IF_ERROR(w.Prepare("UPDATE writer SET epoch = epoch + 1", &claim));
  CT_RETURN_IF_ERROR(w.Prepare("INSERT INTO entries VALUES (?1, ?2)", &insert));
  CT_RETURN_IF_ERROR(
      w.Prepare("INSERT INTO rows VALUES (?1, ?2) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                &put));
  return w.Prepare("DELETE FROM rows WHERE key = ?1", &drop);
}

Status SqliteLogStore::Impl::PrepareReader() {
  SqliteConnection& r = *reader;
  CT_RETURN_IF_ERROR(r.Prepare("SELECT ifnull(max(idx) + 1, 0) FROM entries", &read_size));
  CT_RETURN_IF_ERROR(r.Prepare("SELECT bytes FROM entries WHERE idx = ?1", &read_entry));
  CT_RETURN_IF_ERROR(r.Prepare(
      "SELECT idx, bytes FROM entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx", &read_range));
  CT_RETURN_IF_ERROR(r.Prepare("SELECT value FROM rows WHERE key = ?1", &read_row));
  CT_RETURN_IF_ERROR(r.Prepare(
      "SELECT key, value FROM rows WHERE key >= ?1 AND key < ?2 ORDER BY key", &read_rows));
  return r.Prepare("SELECT key, value FROM rows WHERE key >= ?1 ORDER BY key", &read_rows_from);
}

Status SqliteLogStore::Impl::Open() {
  if (!read_only) {
    CT_RETURN_IF_ERROR(MakeFile(path));
    CT_ASSIGN_OR_RETURN(writer, SqliteConnection::Open(path, false));
    CT_RETURN_IF_ERROR(CreateSchema(*writer));
    CT_RETURN_IF_ERROR(CheckVersion(*writer, path));
    CT_RETURN_IF_ERROR(MakeDurable(*writer, path));
    CT_RETURN_IF_ERROR(PrepareWriter());
    CT_RETURN_IF_ERROR(Annotate(SyncParentOf(path), "log"));
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, fmt::format("log {}", path));
  CT_ASSIGN_OR_RETURN(reader, SqliteConnection::Open(path, true));
  CT_RETURN_IF_ERROR(CheckVersion(*reader, path));
  return PrepareReader();
}

Status SqliteLogStore::Impl::CheckClaim(const AppendRequest& request) const {
  CT_ASSIGN_OR_RETURN(const uint64_t now_epoch, writer->Number(epoch));
  if (now_epoch != request.epoch) {
    return Aborted("log {}: another writer has taken over (epoch {}, ours is {}): stop this one",
                   path, now_epoch, request.epoch);
  }
  CT_ASSIGN_OR_RETURN(const uint64_t now_size, writer->Number(size));
  if (now_size != request.size) {
    return Aborted("log {}: it has {} entries, the append expects {}", path, now_size,
                   request.size);
  }
  return OkStatus();
}

Status SqliteLogStore::Impl::WriteAll(const AppendRequest& request) const {
  uint64_t index = request.size;
  for (const std::string& bytes : request.entries) {
    SqliteQuery query(insert);
    if (const int code = query.Bind(1, index++).Bind(2, bytes).Step(); code != SQLITE_DONE) {
      return writer->Error(code);
    }
  }
  for (const RowWrite& row : request.rows) {
    SqliteQuery query(row.value ? put : drop);
    query.Bind(1, row.key);
    if (row.value) query.Bind(2, *row.value);
    if (const int code = query.Step(); code != SQLITE_DONE) return writer->Error(code);
  }
  return OkStatus();
}

void SqliteLogStore::Impl::Rollback() const {
  // Some errors have rolled back already; then there is nothing to do and this must not fail.
  if (writer->InTransaction()) writer->Run(rollback).IgnoreError();
}

SqliteLogStore::SqliteLogStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteLogStore::~SqliteLogStore() = default;

StatusOr<std::unique_ptr<SqliteLogStore>> SqliteLogStore::Open(const Options& options) {
  auto impl = std::make_unique<Impl>();
  impl->path = options.path;
  impl->read_only = options.read_only;
  CT_RETURN_IF_ERROR(impl->Open());
  return std::unique_ptr<SqliteLogStore>(new SqliteLogStore(std::move(impl)));
}

StatusOr<uint64_t> SqliteLogStore::Claim() {
  if (impl_->read_only) return FailedPrecondition("log {}: opened for reading only", impl_->path);
  const SqliteConnection& writer = *impl_->writer;
  CT_RETURN_IF_ERROR(writer.Run(impl_->begin));
  uint64_t epoch = 0;
  const Status claimed = [&]() -> Status {
    CT_RETURN_IF_ERROR(writer.Run(impl_->claim));
    CT_ASSIGN_OR_RETURN(epoch, writer.Number(impl_->epoch));
    return writer.Run(impl_->commit);
  }();
  if (claimed.ok()) return epoch;
  impl_->Rollback();
  return claimed;
}

Status SqliteLogStore::Append(const AppendRequest& request) {
  if (impl_->read_only) return FailedPrecondition("log {}: opened for reading only", impl_->path);
  CT_RETURN_IF_ERROR(impl_->writer->Run(impl_->begin));
  Status status = impl_->CheckClaim(request);
  if (status.ok()) status = impl_->WriteAll(request);
  if (status.ok()) status = impl_->writer->Run(impl_->commit);
  if (!status.ok()) impl_->Rollback();
  return status;
}

StatusOr<uint64_t> SqliteLogStore::Size() const {
  const std::lock_guard lock(impl_->reader_mutex);
  return impl_->reader->Number(impl_->read_size);
}

StatusOr<std::string> SqliteLogStore::ReadEntry(uint64_t index) const {
  const std::lock_guard lock(impl_->reader_mutex);
  if (index > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return NotFound("log {}: there is no entry {}", impl_->path, index);
  }
  SqliteQuery query(impl_->read_entry);
  const int code = query.Bind(1, index).Step();
  if (code == SQLITE_DONE) return NotFound("log {}: there is no entry {}", impl_->path, index);
  if (code != SQLITE_ROW) return impl_->reader->Error(code);
  return std::string(query.Blob(0));
}

Status SqliteLogStore::ReadEntries(
    uint64_t begin, uint64_t end,
    const std::function<Status(uint64_t, std::string_view)>& visit) const {
  // In pages, each read before it is visited: `visit` may read from the store itself, and a slow
  // visitor neither blocks other readers nor keeps the WAL from being folded back.
  constexpr size_t kPageBytes = size_t{1} << 20;
  while (begin < end) {
    std::vector<std::string> page;
    {
      const std::lock_guard lock(impl_->reader_mutex);
      SqliteQuery query(impl_->read_range);
      query.Bind(1, begin).Bind(2, end);
      size_t bytes = 0;
      int code = SQLITE_ROW;
      while (bytes < kPageBytes && (code = query.Step()) == SQLITE_ROW) {
        if (query.Integer(0) != begin + page.size()) {
          return DataLoss("log {}: entry {} is missing", impl_->path, begin + page.size());
        }
        page.emplace_back(query.Blob(1));
        bytes += page.back().size();
      }
      if (code != SQLITE_ROW && code != SQLITE_DONE) return impl_->reader->Error(code);
    }
    if (page.empty()) return NotFound("log {}: there is no entry {}", impl_->path, begin);
    for (const std::string& bytes : page) CT_RETURN_IF_ERROR(visit(begin++, bytes));
  }
  return OkStatus();
}

StatusOr<std::optional<std::string>> SqliteLogStore::ReadRow(std::string_view key) const {
  const std::lock_guard lock(impl_->reader_mutex);
  SqliteQuery query(impl_->read_row);
  const int code = query.Bind(1, key).Step();
  if (code == SQLITE_DONE) return std::optional<std::string>();
  if (code != SQLITE_ROW) return impl_->reader->Error(code);
  return std::optional<std::string>(query.Blob(0));
}

StatusOr<std::vector<RowWrite>> SqliteLogStore::ReadRows(std::string_view prefix) const {
  const std::lock_guard lock(impl_->reader_mutex);
  const std::optional<std::string> end = PrefixEnd(prefix);
  SqliteQuery query(end ? impl_->read_rows : impl_->read_rows_from);
  query.Bind(1, prefix);
  if (end) query.Bind(2, *end);
  std::vector<RowWrite> rows;
  int code = SQLITE_ROW;
  while ((code = query.Step()) == SQLITE_ROW) {
    rows.push_back({std::string(query.Blob(0)), std::string(query.Blob(1))});
  }
  if (code != SQLITE_DONE) return impl_->reader->Error(code);
  return rows;
}

Status SqliteLogStore::LimitPages(uint64_t max_size_pages) {
  return impl_->writer->Execute(fmt::format("PRAGMA max_page_count={}", max_size_pages));
}

}  // namespace crowdteach::ledger
