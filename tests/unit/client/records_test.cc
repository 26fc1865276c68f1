// A home read beside its user: good receipts, damaged ones, what is pending, addresses.
#include "client/records.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "client/home.h"
#include "ledger/merkle.h"
#include "ledger/receipt.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"

namespace crowdteach::client {
namespace {

using testing::LedgerBuilder;

struct Fixture {
  Fixture() {
    char name[] = "/tmp/crowdteach-records-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    folder = name;
    home = std::move(*Home::Open(folder + "/home"));
    const uint64_t owner = log.NewAccount(v1::OWNER);
    log.Issue(owner, 1000);
    campaign = log.OpenCampaign(owner, testing::SmallCampaign());
    for (int i = 0; i < 2; ++i) teacher = log.NewTeacher(campaign);
    REQUIRE(log.ThroughReveals(campaign, {}));
    for (const ledger::LoggedEntry& logged : log.entries) tree.Append(logged.leaf);
  }
  ~Fixture() {
    home.reset();
    std::filesystem::remove_all(folder);
  }
  std::string Receipt(uint64_t index) const {
    const std::string origin = ledger::DefaultOrigin(log.log_key.public_key());
    ledger::ReceiptParts parts;
    parts.entry = log.entries[index].bytes;
    parts.index = index;
    parts.proof = *tree.InclusionProof(index, tree.size());
    parts.checkpoint =
        ledger::SignCheckpoint({origin, tree.size(), *tree.Root(tree.size())}, log.log_key);
    return ledger::FormatReceipt(parts);
  }
  ledger::VerifierKey vkey() const {
    return ledger::MakeVerifierKey(ledger::DefaultOrigin(log.log_key.public_key()),
                                   log.log_key.public_key());
  }
  void Damage(uint64_t index) const {
    const std::string path = home->path() + fmt::format("/receipts/{:08}.proof", index);
    std::ofstream(path, std::ios::app) << "x";
  }

  LedgerBuilder log;
  ledger::MerkleTree tree;
  std::string folder;
  std::unique_ptr<Home> home;
  uint64_t campaign = 0;
  uint64_t teacher = 0;
};

TEST_CASE("Receipts are read in order and checked; what is wrong with one stands in its place") {
  Fixture fixture;
  for (uint64_t index = fixture.log.entries.size(); index-- > 0;) {
    REQUIRE(fixture.home->SaveReceipt(index, fixture.Receipt(index)).ok());
  }
  const auto good = ReadRecords(fixture.home->path(), fixture.vkey());
  REQUIRE(good.ok());
  REQUIRE(good->Entries().size() == fixture.log.entries.size());
  for (uint64_t i = 0; i < good->receipts.size(); ++i) {
    REQUIRE(good->receipts[i].index == i);
    REQUIRE(good->receipts[i].fault.ok());
  }
  fixture.Damage(3);
  REQUIRE(fixture.home->SaveReceipt(5, fixture.Receipt(4)).ok());
  const auto bad = ReadRecords(fixture.home->path(), fixture.vkey());
  REQUIRE(bad->Entries().size() == fixture.log.entries.size() - 2);
  REQUIRE_FALSE(bad->receipts[3].fault.ok());
  REQUIRE(Message(bad->receipts[5].fault) == "it is of entry 4");
  // Another log's key: not one is its.
  const auto other = ReadRecords(
      fixture.home->path(), ledger::MakeVerifierKey("other", testing::TestKey(1).public_key()));
  REQUIRE(other->Entries().empty());
}

TEST_CASE("What is under way: committed, delivered, in flight") {
  Fixture fixture;
  const auto prepare = [&](uint32_t round) {
    REQUIRE(fixture.home->SaveRound({fixture.campaign, round, {}, std::string(32, 's')}).ok());
  };
  prepare(2);
  prepare(1);
  for (const ledger::LoggedEntry& logged : fixture.log.entries) {
    if (logged.intent.account() != fixture.teacher) continue;
    REQUIRE(fixture.home->SaveReceipt(logged.entry.index(), fixture.Receipt(logged.entry.index()))
                .ok());
  }
  REQUIRE(fixture.home->SavePending(fixture.log.entries.back().entry.intent()).ok());
  REQUIRE(fixture.home->SaveFetched(12).ok());
  const auto records = ReadRecords(fixture.home->path(), fixture.vkey());
  REQUIRE(records.ok());
  REQUIRE(records->fetched == 12);
  REQUIRE(*fixture.home->LoadFetched() == 12);
  REQUIRE(records->pending.has_value());
  REQUIRE(records->rounds.size() == 2);
  REQUIRE(records->rounds[0].committed.has_value());
  REQUIRE(records->rounds[0].revealed.has_value());
  REQUIRE_FALSE(records->rounds[1].committed.has_value());
  REQUIRE(records->over.empty());
}

TEST_CASE("What is over is not under way") {
  Fixture fixture;
  const auto keep = [&] {
    fixture.tree = {};
    for (const ledger::LoggedEntry& logged : fixture.log.entries) fixture.tree.Append(logged.leaf);
    const uint64_t index = fixture.log.entries.back().entry.index();
    REQUIRE(fixture.home->SaveReceipt(index, fixture.Receipt(index)).ok());
  };
  const auto count = [&] {
    const auto records = ReadRecords(fixture.home->path(), fixture.vkey());
    REQUIRE(records.ok());
    return std::pair(records->rounds.size(), records->over.size());
  };
  for (uint32_t round : {1, 2, 3}) {
    REQUIRE(fixture.home->SaveRound({fixture.campaign, round, {}, std::string(32, 's')}).ok());
  }
  keep();
  REQUIRE(count() == std::pair<size_t, size_t>(3, 0));
  fixture.log.Say(0, fixture.log.AggregateOf(fixture.campaign, {}));
  fixture.log.Say(0, fixture.log.ScoreOf(fixture.campaign, {}));
  fixture.log.Say(0, fixture.log.SettleOf(fixture.campaign));
  keep();
  REQUIRE(count() == std::pair<size_t, size_t>(2, 1));
  fixture.log.RunRound(fixture.campaign, {});
  fixture.log.OpenRound(fixture.campaign);  // the third
  keep();
  REQUIRE(count() == std::pair<size_t, size_t>(1, 2));
  fixture.log.now_ms += 1000;  // nobody commits
  fixture.log.Say(0, fixture.log.AbortOf(fixture.campaign, v1::COMMIT_QUORUM));
  keep();
  REQUIRE(count() == std::pair<size_t, size_t>(0, 3));
}

TEST_CASE("Campaign and round of each kind of entry") {
  Fixture fixture;
  for (const ledger::LoggedEntry& logged : fixture.log.entries) {
    const v1::Intent& intent = logged.intent;
    const bool of_campaign = intent.has_campaign_open() || intent.has_enrol() ||
                             intent.has_round_open() || intent.has_update_commit() ||
                             intent.has_round_commit_close() || intent.has_update_reveal();
    INFO(ledger::BodyName(intent));
    REQUIRE(CampaignOf(logged) == (of_campaign ? fixture.campaign : 0));
    const bool of_round = of_campaign && !intent.has_campaign_open() && !intent.has_enrol();
    REQUIRE(RoundOf(intent) == (of_round ? 1 : 0));
  }
}

TEST_CASE("No home is no home, and none is made") {
  Fixture fixture;
  const std::string path = fixture.folder + "/none";
  REQUIRE(absl::IsNotFound(ReadRecords(path, fixture.vkey()).status()));
  REQUIRE_FALSE(std::filesystem::exists(path));
}

TEST_CASE("Addresses: a person's own word first, then the coordinator's") {
  Fixture fixture;
  Home& home = *fixture.home;
  REQUIRE(home.LoadAddresses()->empty());
  REQUIRE(home.SaveAddresses({"a:1", "[::1]:2"}).ok());
  REQUIRE(home.SaveServer("b:3").ok());
  REQUIRE(*home.LoadAddresses() == std::vector<std::string>{"b:3", "a:1", "[::1]:2"});
  REQUIRE(home.SaveServer("").ok());
  REQUIRE(*home.LoadAddresses() == std::vector<std::string>{"a:1", "[::1]:2"});
  REQUIRE(home.SaveAddresses({}).ok());
  REQUIRE(home.LoadAddresses()->empty());
  REQUIRE(home.SaveAddresses({}).ok());
}

}  // namespace
}  // namespace crowdteach::client
