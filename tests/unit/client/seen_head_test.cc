// What a client makes of a log that was rolled back, forked, or cannot be shown to continue.
#include "client/seen_head.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "ledger/merkle.h"
#include "ledger/receipt.h"
#include "ledger/signature.h"
#include "proto/base/exit_codes.h"
#include "tests/support/catch.h"

namespace crowdteach::client {
namespace {

// A log of made-up leaves, signing its heads.
struct FakeLog {
  explicit FakeLog(const ledger::SigningKey* log_key) : key(log_key) {}

  void Grow(uint64_t leaves, char seed) {
    for (uint64_t i = 0; i < leaves; ++i) {
      tree.Append(base::Sha256Of(std::string(1, seed) + std::to_string(tree.size())));
    }
  }
  ledger::Checkpoint Head(uint64_t size) const {
    return {ledger::DefaultOrigin(key->public_key()), size, *tree.Root(size)};
  }
  std::string Note(uint64_t size) const { return ledger::SignCheckpoint(Head(size), *key); }
  SeenHead::AskProof Proofs() const {
    return
        [this](uint64_t old_size, uint64_t size) { return tree.ConsistencyProof(old_size, size); };
  }

  const ledger::SigningKey* key;
  ledger::MerkleTree tree;
};

struct Fixture {
  Fixture() {
    char name[] = "/tmp/crowdteach-head-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    folder = name;
    auto opened = Home::Open(folder + "/home");
    REQUIRE(opened.ok());
    home = std::move(*opened);
    log.Grow(5, 'a');
    other.Grow(3, 'a');  // the same past, another future
    other.Grow(9, 'b');
  }
  ~Fixture() { std::filesystem::remove_all(folder); }

  ledger::VerifierKey vkey() const {
    return ledger::MakeVerifierKey(ledger::DefaultOrigin(key.public_key()), key.public_key());
  }
  SeenHead Load() const {
    auto seen = SeenHead::Load(home.get(), vkey());
    REQUIRE(seen.ok());
    return *std::move(seen);
  }
  size_t evidence() const {
    std::filesystem::directory_iterator files(home->path() + "/evidence");
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
  void RequireFork(const Status& status, const std::string& word) const {
    INFO(status.ToString());
    REQUIRE(IsFork(status));
    REQUIRE(ExitCodeOf(status) == kExitFork);
    REQUIRE(Message(status).find(word) != std::string::npos);
    REQUIRE(evidence() == 1);
    REQUIRE(*home->LoadHead() == log.Note(5));  // the older evidence is not overwritten
  }

  std::string folder;
  std::unique_ptr<Home> home;
  ledger::SigningKey key = ledger::SigningKey::Generate();
  FakeLog log{&key};
  FakeLog other{&key};
};

}  // namespace

TEST_CASE("heads of one log, newer and older, are taken; the largest is kept") {
  Fixture f;
  {
    SeenHead seen = f.Load();
    for (const uint64_t size : {2, 5, 5, 3, 1}) {
      REQUIRE(seen.See(f.log.Note(size), f.log.Head(size), f.log.Proofs()).ok());
    }
  }
  REQUIRE(*f.home->LoadHead() == f.log.Note(5));
  f.log.Grow(4, 'c');
  SeenHead again = f.Load();
  REQUIRE(again.SeeNewest(f.log.Note(9), f.log.Head(9), f.log.Proofs()).ok());
  REQUIRE(*f.home->LoadHead() == f.log.Note(9));
  REQUIRE(f.evidence() == 0);
}

TEST_CASE("a log that was rolled back is a fork, and grown again it still is one") {
  Fixture f;
  SeenHead seen = f.Load();
  REQUIRE(seen.See(f.log.Note(5), f.log.Head(5), f.log.Proofs()).ok());
  SECTION("behind") {
    f.RequireFork(seen.SeeNewest(f.log.Note(4), f.log.Head(4), f.log.Proofs()), "rolled back");
  }
  SECTION("the same size") {
    f.RequireFork(seen.See(f.other.Note(5), f.other.Head(5), f.other.Proofs()), "two different");
  }
  SECTION("grown further") {
    f.RequireFork(seen.See(f.other.Note(9), f.other.Head(9), f.other.Proofs()), "changed or lost");
  }
  SECTION("an older head of another future") {
    f.RequireFork(seen.See(f.other.Note(4), f.other.Head(4), f.log.Proofs()), "changed or lost");
  }
  SECTION("the coordinator says that it never had so many entries") {
    f.RequireFork(seen.See(f.other.Note(4), f.other.Head(4),
                           [](uint64_t, uint64_t) -> StatusOr<std::vector<base::Hash>> {
                             return FromPeer(OutOfRange("the log has 4 entries, not 5"));
                           }),
                  "changed or lost");
  }
}

TEST_CASE("a proof that cannot be had now is no fork, and nothing is taken") {
  Fixture f;
  SeenHead seen = f.Load();
  REQUIRE(seen.See(f.log.Note(3), f.log.Head(3), f.log.Proofs()).ok());
  const Status status = seen.See(f.log.Note(5), f.log.Head(5),
                                 [](uint64_t, uint64_t) -> StatusOr<std::vector<base::Hash>> {
                                   return FromPeer(Unavailable("gone"));
                                 });
  REQUIRE(absl::IsUnavailable(status));
  REQUIRE(ExitCodeOf(status) == kExitUnreachable);
  REQUIRE(*f.home->LoadHead() == f.log.Note(3));
  REQUIRE(f.evidence() == 0);
}

TEST_CASE("a home of another log is not used for this one") {
  Fixture f;
  const ledger::SigningKey stranger = ledger::SigningKey::Generate();
  FakeLog strange(&stranger);
  strange.Grow(1, 'z');
  REQUIRE(f.home->SaveHead(strange.Note(1)).ok());
  const Status status = SeenHead::Load(f.home.get(), f.vkey()).status();
  REQUIRE(absl::IsFailedPrecondition(status));
  REQUIRE(Message(status).find("another --home") != std::string::npos);
}

TEST_CASE("a damaged head is not taken for none") {
  Fixture f;
  for (const char* bytes : {"", "garbage"}) {
    INFO('"' << bytes << '"');
    std::ofstream(f.home->path() + "/head", std::ios::trunc) << bytes;
    const Status status = SeenHead::Load(f.home.get(), f.vkey()).status();
    REQUIRE(absl::IsUnavailable(status));
    REQUIRE(ExitCodeOf(status) == kExitIo);
    REQUIRE(Message(status).find(f.home->path() + "/head is damaged") != std::string::npos);
  }
}

TEST_CASE("the newest receipt stands in for a lost head") {
  Fixture f;
  for (const uint64_t size : {uint64_t{3}, uint64_t{5}}) {
    const ledger::ReceiptParts receipt{"an entry", size - 1, {}, f.log.Note(size)};
    REQUIRE(f.home->SaveReceipt(size - 1, ledger::FormatReceipt(receipt)).ok());
  }
  SeenHead seen = f.Load();
  const Status status = seen.SeeNewest(f.log.Note(4), f.log.Head(4), f.log.Proofs());
  REQUIRE(IsFork(status));
  REQUIRE(Message(status).find("rolled back") != std::string::npos);
}

TEST_CASE("a damaged pending act names its file") {
  Fixture f;
  for (const char* bytes : {"", "garbage"}) {
    INFO('"' << bytes << '"');
    std::ofstream(f.home->path() + "/pending", std::ios::trunc) << bytes;
    const Status status = f.home->LoadPending().status();
    REQUIRE(ExitCodeOf(status) == kExitIo);
    REQUIRE(Message(status).find(f.home->path() + "/pending is damaged") != std::string::npos);
  }
}

}  // namespace crowdteach::client
