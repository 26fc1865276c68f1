#include "ledger/log.h"

#include <google/protobuf/unknown_field_set.h>

#include <fstream>
#include <random>

#include "ledger/merkle.h"
#include "ledger/receipt.h"
#include "tests/unit/ledger/log_fixture.h"

namespace crowdteach::ledger {
namespace {

using Code = absl::StatusCode;
const BalanceKey kIssuerAvail{v1::AVAIL, 0, 1};

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Overwrite(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("a log commits batches, signs heads and goes on after a restart") {
  LogFixture f;
  REQUIRE(f.log->checkpoint().empty());
  f.Begin(3);
  REQUIRE(f.log->size() == 5);
  const std::string head = f.log->checkpoint();
  REQUIRE(Value(OpenCheckpoint(head, f.keys.vkey)).size == 5);
  REQUIRE(Slurp(f.folder.File("head")) == head);
  f.Reopen();
  REQUIRE(f.log->size() == 5);
  REQUIRE(f.log->checkpoint() == head);
  REQUIRE(f.log->state().Balance(kIssuerAvail) == 6);
  f.Issue(10);
  RequireOk(f.log->Commit({}));
  REQUIRE(f.log->state().Balance(kIssuerAvail) == 16);
}

TEST_CASE("receipts and consistency proofs verify offline") {
  LogFixture f;
  f.Begin(9);
  const Checkpoint before = Value(OpenCheckpoint(f.log->checkpoint(), f.keys.vkey));
  f.Issue(1);
  f.Issue(2);
  RequireOk(f.log->Commit({}));
  const Checkpoint after = Value(OpenCheckpoint(f.log->checkpoint(), f.keys.vkey));
  f.Issue(3);  // drafted, not committed: in no proof
  for (uint64_t i = 0; i < f.log->size(); ++i) {
    const VerifiedReceipt receipt = Value(VerifyReceipt(Value(f.log->Receipt(i)), f.keys.vkey));
    REQUIRE(receipt.entry.entry.index() == i);
    REQUIRE(receipt.checkpoint == after);
  }
  REQUIRE(f.log->Receipt(f.log->size()).status().code() == Code::kNotFound);
  RequireOk(VerifyConsistency(before.size, before.root, after.size, after.root,
                              Value(f.log->ConsistencyProof(before.size, after.size))));
  REQUIRE(f.log->ConsistencyProof(1, f.log->size() + 1).status().code() == Code::kOutOfRange);
}

TEST_CASE("every changed byte of a receipt is refused") {
  LogFixture f;
  f.Begin(4);
  const std::string good = Value(f.log->Receipt(3));
  REQUIRE(FormatReceipt(Value(ParseReceipt(good))) == good);
  for (size_t i = 0; i < good.size(); ++i) {
    for (const int flip : {0x01, 0x20, 0x80}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      INFO("byte " << i << " flipped by " << flip);
      REQUIRE_FALSE(VerifyReceipt(bad, f.keys.vkey).ok());
    }
  }
  for (size_t size = 0; size < good.size(); ++size) {
    REQUIRE_FALSE(VerifyReceipt(std::string_view(good).substr(0, size), f.keys.vkey).ok());
  }
  REQUIRE_FALSE(VerifyReceipt(good + "\n", f.keys.vkey).ok());
}

TEST_CASE("an illegal intent leaves the batch as it was") {
  LogFixture f;
  f.Begin(1);
  f.Issue(5);
  v1::SignedIntent forged = IssueIntent(f.keys, f.log->state(), 1, 7);
  forged.mutable_signature()->front() ^= 1;
  REQUIRE(f.log->Draft(forged, kStartMs + 100).status().code() == Code::kUnauthenticated);
  REQUIRE(f.log->pending() == 1);
  RequireOk(f.log->Commit({}));
  REQUIRE(f.log->state().Balance(kIssuerAvail) == 6);
}

TEST_CASE("what replay would refuse does not get into the log") {
  LogFixture f;
  f.Begin(1);
  v1::SignedIntent intent = IssueIntent(f.keys, f.log->state(), 1, 7);
  intent.GetReflection()->MutableUnknownFields(&intent)->AddVarint(9, 1);
  REQUIRE(f.log->Draft(intent, kStartMs + 100).status().code() == Code::kInvalidArgument);
  REQUIRE(f.log->pending() == 0);
  f.Issue(5);
  RequireOk(f.log->Commit({}));
  f.Reopen();
  REQUIRE(f.log->state().Balance(kIssuerAvail) == 6);
}

TEST_CASE("entry times never go back") {
  LogFixture f;
  f.Begin(0);
  const uint64_t last = f.log->state().last_time_ms();
  const LoggedEntry entry = Value(f.log->Draft(IssueIntent(f.keys, f.log->state(), 1, 1), 5));
  REQUIRE(entry.entry.time_ms() == last);
}

TEST_CASE("a discarded batch leaves no trace") {
  LogFixture f;
  f.Begin(2);
  const base::Hash leaf = f.log->state().last_leaf();
  f.Issue(100);
  f.Issue(100);
  RequireOk(f.log->Discard());
  REQUIRE(f.log->pending() == 0);
  REQUIRE(f.log->state().last_leaf() == leaf);
  REQUIRE(f.log->state().Balance(kIssuerAvail) == 3);
  f.Issue(1);
  RequireOk(f.log->Commit({}));
  f.Reopen();
  REQUIRE(f.log->state().Balance(kIssuerAvail) == 4);
}

TEST_CASE("a full disk fails the commit, changes nothing, and a retry works") {
  LogFixture f;
  f.Begin(2);
  const std::string head = f.log->checkpoint();
  RequireOk(f.store->LimitPages(1));  // SQLite takes the present size if that is more
  const std::string reference(200, 'r');
  Status status;
  uint64_t committed = f.log->size();
  int64_t balance = 3;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    for (int j = 0; j < 20; ++j) {
      Value(f.log->Draft(IssueIntent(f.keys, f.log->state(), 1, 1, reference), kStartMs + 10));
    }
    status = f.log->Commit({{"row", std::string(3000, 'x')}});
    if (status.ok()) {
      committed += 20;
      balance += 20;
    }
  }
  INFO(status);
  REQUIRE(status.code() == Code::kResourceExhausted);
  RequireOk(f.log->health());
  REQUIRE(f.log->pending() == 0);
  REQUIRE(f.log->size() == committed);
  REQUIRE(Value(f.store->Size()) == committed);
  REQUIRE(f.log->state().size() == committed);
  REQUIRE(f.log->state().Balance(kIssuerAvail) == balance);
  RequireOk(f.store->LimitPages(1'000'000));
  f.Issue(1000);
  RequireOk(f.log->Commit({{"row", "y"}}));
  REQUIRE(*Value(f.store->ReadRow("row")) == "y");
  f.Reopen();
  REQUIRE(f.log->state().Balance(kIssuerAvail) == balance + 1000);
}

TEST_CASE("without room for its head nothing is logged, and then all goes on") {
  LogFixture f;
  f.Begin(1);
  const std::string head = f.log->checkpoint();
  std::filesystem::create_directory(f.folder.File("head.new"));  // where the new head is written
  f.Issue(7);
  REQUIRE_FALSE(f.log->Commit({}).ok());
  RequireOk(f.log->health());
  REQUIRE(f.log->checkpoint() == head);
  REQUIRE(Value(f.store->Size()) == 3);
  std::filesystem::remove(f.folder.File("head.new"));
  f.Issue(8);
  RequireOk(f.log->Commit({}));
  REQUIRE(f.log->state().Balance(kIssuerAvail) == 9);
  REQUIRE(Slurp(f.folder.File("head")) == f.log->checkpoint());
  f.Reopen();
  REQUIRE(f.log->size() == 4);
}

TEST_CASE("a head that cannot be written stops the log; opening again goes on") {
  LogFixture f;
  f.Begin(1);
  const std::string head = f.log->checkpoint();
  std::filesystem::rename(f.folder.File("head"), f.folder.File("kept"));
  std::filesystem::create_directory(f.folder.File("head"));  // which no file replaces
  f.Issue(7);
  REQUIRE_FALSE(f.log->Commit({}).ok());
  REQUIRE_FALSE(f.log->health().ok());
  REQUIRE_FALSE(f.log->Draft(IssueIntent(f.keys, f.log->state(), 1, 1), kStartMs + 9).ok());
  REQUIRE(f.log->checkpoint() == head);
  std::filesystem::remove(f.folder.File("head"));
  std::filesystem::rename(f.folder.File("kept"), f.folder.File("head"));
  f.Reopen();
  REQUIRE(f.log->size() == 4);
  REQUIRE(f.log->state().Balance(kIssuerAvail) == 8);
  REQUIRE(Value(OpenCheckpoint(f.log->checkpoint(), f.keys.vkey)).size == 4);
}

TEST_CASE("a store behind, beside or without its head refuses to start") {
  LogFixture f;
  f.Begin(1);
  f.log.reset();
  const std::string head = Slurp(f.folder.File("head"));
  const Checkpoint signed_head = Value(OpenCheckpoint(head, f.keys.vkey));

  SECTION("behind") {
    Overwrite(f.folder.File("head"),
              SignCheckpoint({f.keys.origin, 9, base::LeafHash("later")}, f.keys.log));
  }
  SECTION("beside") {
    Overwrite(f.folder.File("head"),
              SignCheckpoint({f.keys.origin, signed_head.size, base::LeafHash("x")}, f.keys.log));
  }
  SECTION("without") { std::filesystem::remove(f.folder.File("head")); }
  SECTION("a head that is not signed") {
    std::string bad = head;
    bad[bad.size() - 5] ^= 1;
    Overwrite(f.folder.File("head"), bad);
  }
  const auto opened = f.TryOpenLog();
  INFO(opened.status());
  REQUIRE(opened.status().code() == Code::kDataLoss);
}

TEST_CASE("a store ahead of its head is signed again") {
  LogFixture f;
  f.Begin(1);
  const std::string old_head = f.log->checkpoint();
  f.Issue(1);
  RequireOk(f.log->Commit({}));
  const std::string head = f.log->checkpoint();
  f.log.reset();
  Overwrite(f.folder.File("head"), old_head);  // as after a crash between commit and signing
  f.Reopen();
  REQUIRE(f.log->checkpoint() == head);
}

TEST_CASE("another key's log is refused") {
  LogFixture f;
  f.Begin(0);
  f.log.reset();
  std::filesystem::remove(f.folder.File("head"));
  f.keys.log = SigningKey::Generate();
  REQUIRE(f.TryOpenLog().status().code() == Code::kFailedPrecondition);
}

TEST_CASE("a second writer takes over and the first can no longer append") {
  LogFixture f;
  f.Begin(1);
  const auto second_store = Value(SqliteLogStore::Open({.path = f.folder.File("log.db")}));
  const auto second =
      Value(Log::Open(second_store.get(), f.keys.log, f.keys.origin, f.LogOptions()));
  f.Issue(1);
  REQUIRE(f.log->Commit({}).code() == Code::kAborted);
  REQUIRE(second->size() == 3);
}

TEST_CASE("an illegal entry in the store refuses to start") {
  LogFixture f;
  f.Begin(1);
  f.log.reset();
  const uint64_t epoch = Value(f.store->Claim());
  v1::Entry entry = Value(DecodeEntry(Value(f.store->ReadEntry(2)))).entry;
  entry.set_index(3);
  RequireOk(f.store->Append({epoch, 3, {Encode(entry)}, {}}));
  const auto opened = f.TryOpenLog();
  INFO(opened.status());
  REQUIRE(opened.status().code() == Code::kDataLoss);
}

}  // namespace crowdteach::ledger
