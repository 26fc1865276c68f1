// A history of LedgerBuilder's in a coordinator's home, as that coordinator would have left it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "ledger/checkpoint.h"
#include "ledger/log.h"
#include "ledger/sqlite_log_store.h"
#include "server/marks.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"

namespace crowdteach::server {

class TestHome {
 public:
  TestHome() {
    std::string name = (std::filesystem::temp_directory_path() / "crowdteach-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TestHome() { std::filesystem::remove_all(path_); }
  TestHome(const TestHome&) = delete;
  TestHome& operator=(const TestHome&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The log of a home, written by the builder's keys.
struct OpenedLog {
  OpenedLog(const std::string& home, const testing::LedgerBuilder& history) {
    auto opened = ledger::SqliteLogStore::Open({.path = home + "/coordinator.db"});
    REQUIRE(opened.ok());
    store = *std::move(opened);
    auto opened_log =
        ledger::Log::Open(store.get(), history.log_key,
                          ledger::DefaultOrigin(history.log_key.public_key()), {home + "/head"});
    INFO(opened_log.status().ToString());
    REQUIRE(opened_log.ok());
    log = *std::move(opened_log);
  }
  // Logs what the builder has and the log has not.
  void TakeOver(const testing::LedgerBuilder& history) {
    for (size_t i = log->size(); i < history.entries.size(); ++i) {
      const v1::Entry& entry = history.entries[i].entry;
      const auto drafted = log->Draft(entry.intent(), entry.time_ms());
      INFO(drafted.status().ToString());
      REQUIRE(drafted.ok());
    }
    REQUIRE(log->Commit({}).ok());
  }

  std::unique_ptr<ledger::SqliteLogStore> store;
  std::unique_ptr<ledger::Log> log;
};

inline Marks MarksOf(const testing::LedgerBuilder& history) {
  Marks marks;
  for (const ledger::LoggedEntry& entry : history.entries) marks.Take(entry);
  return marks;
}

// A small campaign of this many teachers; its owner may close it for a minute after its last round.
struct SmallWorld {
  explicit SmallWorld(size_t count) : SmallWorld(count, testing::SmallCampaign()) {}
  SmallWorld(size_t count, v1::CampaignOpen open) {
    open.mutable_terms()->set_close_ms(60'000);
    open.mutable_terms()->set_retention_ms(120'000);
    owner = log.NewAccount(v1::OWNER);
    log.Issue(owner, static_cast<uint64_t>(open.terms().budget()));
    id = log.OpenCampaign(owner, open);
    for (size_t i = 0; i < count; ++i) teachers.push_back(log.NewTeacher(id));
  }
  const ledger::CampaignState& Now() const { return log.Campaign(id); }

  testing::LedgerBuilder log;
  uint64_t owner = 0;
  uint64_t id = 0;
  std::vector<uint64_t> teachers;
};

}  // namespace crowdteach::server
