#include "ledger/sqlite_log_store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/unit/ledger/log_fixture.h"

namespace crowdteach::ledger {
namespace {

using Code = absl::StatusCode;

// Runs SQL behind the store's back; SQLite's result code.
int Sql(const std::string& path, const char* sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  const int code = sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
  sqlite3_close(db);
  return code;
}

struct StoreFixture {
  TemporaryFolder folder;
  std::string path = folder.File("log.db");
  std::unique_ptr<SqliteLogStore> store = Value(SqliteLogStore::Open({.path = path}));
  uint64_t epoch = Value(store->Claim());
};

}  // namespace

TEST_CASE("entries and rows are appended together and read back") {
  StoreFixture f;
  RequireOk(f.store->Append({f.epoch, 0, {"a", "bb", ""}, {{"k/1", "one"}, {"k/2", ""}}}));
  RequireOk(f.store->Append({f.epoch, 3, {"d"}, {{"k/1", std::nullopt}, {"l", "x"}}}));
  REQUIRE(Value(f.store->Size()) == 4);
  REQUIRE(Value(f.store->ReadEntry(1)) == "bb");
  REQUIRE(Value(f.store->ReadEntry(2)).empty());
  REQUIRE(f.store->ReadEntry(4).status().code() == Code::kNotFound);
  REQUIRE(f.store->ReadEntry(UINT64_MAX).status().code() == Code::kNotFound);
  REQUIRE_FALSE(Value(f.store->ReadRow("k/1")).has_value());
  REQUIRE(Value(f.store->ReadRow("k/2")) == std::optional<std::string>(""));
  const auto rows = Value(f.store->ReadRows("k/"));
  REQUIRE(rows.size() == 1);
  REQUIRE(rows[0].key == "k/2");
  REQUIRE(Value(f.store->ReadRows("")).size() == 2);
  std::string all;
  RequireOk(f.store->ReadEntries(1, 4, [&](uint64_t index, std::string_view bytes) {
    all += std::to_string(index) + std::string(bytes);
    return OkStatus();
  }));
  REQUIRE(all == "1bb23d");
  REQUIRE(
      f.store->ReadEntries(2, 5, [](uint64_t, std::string_view) { return OkStatus(); }).code() ==
      Code::kNotFound);
}

TEST_CASE("prefixes of the highest bytes find their rows") {
  StoreFixture f;
  const std::string high = "\xff\xff";
  RequireOk(f.store->Append({f.epoch,
                             0,
                             {},
                             {{high + "a", "1"},
                              {"\xfe", "2"},
                              {"a\xff"
                               "b",
                               "3"},
                              {"b", "4"}}}));
  REQUIRE(Value(f.store->ReadRows(high)).size() == 1);
  REQUIRE(Value(f.store->ReadRows("a\xff")).size() == 1);
  REQUIRE(Value(f.store->ReadRows("a")).size() == 1);
}

TEST_CASE("large logs are read in pages") {
  StoreFixture f;
  AppendRequest request{f.epoch, 0, {}, {}};
  for (int i = 0; i < 300; ++i)
    request.entries.push_back(std::string(10'000, static_cast<char>(i)));
  RequireOk(f.store->Append(request));
  uint64_t count = 0;
  RequireOk(f.store->ReadEntries(0, 300, [&](uint64_t index, std::string_view bytes) {
    REQUIRE(bytes == request.entries[index]);
    REQUIRE(Value(f.store->ReadEntry(index)) == bytes);  // a visitor may read
    ++count;
    return OkStatus();
  }));
  REQUIRE(count == 300);
}

TEST_CASE("an append with an old size or an old epoch writes nothing") {
  StoreFixture f;
  RequireOk(f.store->Append({f.epoch, 0, {"a"}, {}}));
  REQUIRE(f.store->Append({f.epoch, 0, {"b"}, {{"k", "v"}}}).code() == Code::kAborted);
  REQUIRE(f.store->Append({f.epoch, 2, {"b"}, {}}).code() == Code::kAborted);
  const auto other = Value(SqliteLogStore::Open({.path = f.path}));
  REQUIRE(Value(other->Claim()) == f.epoch + 1);
  REQUIRE(f.store->Append({f.epoch, 1, {"b"}, {{"k", "v"}}}).code() == Code::kAborted);
  REQUIRE(Value(f.store->Size()) == 1);
  REQUIRE_FALSE(Value(f.store->ReadRow("k")).has_value());
  RequireOk(other->Append({f.epoch + 1, 1, {"b"}, {}}));
  REQUIRE(Value(f.store->Size()) == 2);
}

TEST_CASE("SQL can neither change, delete, replace nor skip entries") {
  StoreFixture f;
  RequireOk(f.store->Append({f.epoch, 0, {"a", "b"}, {}}));
  for (const char* sql :
       {"UPDATE entries SET bytes = x'00' WHERE idx = 0", "DELETE FROM entries WHERE idx = 1",
        "DELETE FROM entries", "INSERT OR REPLACE INTO entries VALUES (1, x'00')",
        "INSERT INTO entries VALUES (7, x'00')", "INSERT INTO entries VALUES (2, 'text')"}) {
    INFO(sql);
    REQUIRE(Sql(f.path, sql) == SQLITE_CONSTRAINT);
  }
  REQUIRE(Value(f.store->ReadEntry(1)) == "b");
}

TEST_CASE("a newer format, a foreign database and a plain file are refused") {
  TemporaryFolder folder;
  const std::string path = folder.File("log.db");
  Value(SqliteLogStore::Open({.path = path}));
  REQUIRE(Sql(path, "PRAGMA user_version = 2") == SQLITE_OK);
  REQUIRE(SqliteLogStore::Open({.path = path}).status().code() == Code::kFailedPrecondition);
  REQUIRE(SqliteLogStore::Open({.path = path, .read_only = true}).status().code() ==
          Code::kFailedPrecondition);
  const std::string foreign = folder.File("foreign.db");
  REQUIRE(Sql(foreign, "CREATE TABLE t (x)") == SQLITE_OK);
  REQUIRE(SqliteLogStore::Open({.path = foreign}).status().code() == Code::kDataLoss);
  const std::string plain = folder.File("plain");
  std::ofstream(plain) << std::string(5000, 'x');
  REQUIRE(SqliteLogStore::Open({.path = plain}).status().code() == Code::kDataLoss);
  REQUIRE(SqliteLogStore::Open({.path = folder.File("no/such")}).status().code() ==
          Code::kNotFound);
}

TEST_CASE("the file is the owner's alone, and a reader neither makes nor writes it") {
  StoreFixture f;
  struct stat info {};
  REQUIRE(stat(f.path.c_str(), &info) == 0);
  REQUIRE((info.st_mode & 0777) == 0600);
  RequireOk(f.store->Append({f.epoch, 0, {"a"}, {}}));
  const auto reader = Value(SqliteLogStore::Open({.path = f.path, .read_only = true}));
  REQUIRE(Value(reader->ReadEntry(0)) == "a");
  REQUIRE(reader->Claim().status().code() == Code::kFailedPrecondition);
  REQUIRE(reader->Append({f.epoch, 1, {"b"}, {}}).code() == Code::kFailedPrecondition);
  REQUIRE(
      SqliteLogStore::Open({.path = f.folder.File("none"), .read_only = true}).status().code() ==
      Code::kNotFound);
}

TEST_CASE("readers on other threads see whole batches while the writer appends") {
  StoreFixture f;
  std::atomic<bool> done = false;
  std::atomic<int> faults = 0;
  std::thread reader([&] {
    while (!done) {
      const StatusOr<uint64_t> size = f.store->Size();
      if (!size.ok() || *size % 10 != 0) ++faults;
      if (size.ok() && *size > 0 && !f.store->ReadEntry(*size - 1).ok()) ++faults;
    }
  });
  for (uint64_t i = 0; i < 50; ++i) {
    RequireOk(f.store->Append({f.epoch, i * 10, std::vector<std::string>(10, "entry"), {}}));
  }
  done = true;
  reader.join();
  REQUIRE(faults == 0);
}

}  // namespace crowdteach::ledger
