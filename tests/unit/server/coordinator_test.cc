// A whole coordinator in this process: its own database, artifacts and threads, a clock by hand.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>
#include <vector>

#include "ledger/bundle.h"
#include "ledger/canonical.h"
#include "ledger/receipt.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/server/running.h"

namespace crowdteach::server {
namespace {

using absl::StatusCode;
using testing::Refused;
using testing::TestHash;
using testing::TestKey;

StatusCode StartCode(const TestHome& home, std::string_view text) {
  CoordinatorOptions options;
  options.home = home.File("home");
  options.now_ms = [] { return uint64_t{1'700'000'000'000}; };
  const auto started = Coordinator::Start(options);
  INFO(started.status().ToString());
  REQUIRE_FALSE(started.ok());
  REQUIRE(Message(started.status()).find(text) != std::string::npos);
  return started.status().code();
}

TEST_CASE("The first start makes keys, GENESIS and the issuer; the next goes on from there") {
  const TestHome home;
  std::string vkey;
  base::Hash genesis{};
  {
    Running first(home);
    for (const char* name : {"operator.key", "issuer.key", "log.key", "coordinator.db", "head"}) {
      REQUIRE(std::filesystem::exists(home.File("home/") + name));
    }
    REQUIRE((std::filesystem::status(home.File("home")).permissions() &
             std::filesystem::perms::all) == std::filesystem::perms::owner_all);
    REQUIRE(first.coordinator->log_size() == 2);
    REQUIRE(first.coordinator->FindAccount(uint64_t{1})->name == "issuer");
    REQUIRE(first.Issue(0, 500).status.ok());
    vkey = first.coordinator->log_vkey();
    genesis = first.coordinator->genesis_hash();
  }
  Running second(home);
  REQUIRE(second.coordinator->log_size() == 3);
  REQUIRE(second.coordinator->log_vkey() == vkey);
  REQUIRE(second.coordinator->genesis_hash() == genesis);
  REQUIRE(second.coordinator->Account(0).available() == 500);
  REQUIRE(second.Issue(0, 1).index == 3);
}

TEST_CASE("A home that is not whole is refused, with what to do") {
  const TestHome home;
  { Running first(home); }
  const auto remove = [&](const char* name) { std::filesystem::remove(home.File("home/") + name); };

  SECTION("a key is missing") {
    remove("issuer.key");
    REQUIRE(StartCode(home, "lacks issuer.key") == StatusCode::kDataLoss);
  }
  SECTION("all keys are missing") {
    for (const char* name : {"operator.key", "issuer.key", "log.key"}) remove(name);
    REQUIRE(StartCode(home, "restore them from a backup") == StatusCode::kDataLoss);
  }
  SECTION("another operator's key") {
    remove("operator.key");
    REQUIRE(TestKey(7).Save(home.File("home/operator.key")).ok());
    REQUIRE(StartCode(home, "same backup") == StatusCode::kDataLoss);
  }
  SECTION("another log's key") {
    remove("log.key");
    REQUIRE(TestKey(7).Save(home.File("home/log.key")).ok());
    REQUIRE(StartCode(home, "use its own key") == StatusCode::kFailedPrecondition);
  }
  SECTION("the signed head is missing") {
    remove("head");
    REQUIRE(StartCode(home, "head") == StatusCode::kDataLoss);
  }
  SECTION("the database is missing") {
    for (const char* name : {"coordinator.db", "coordinator.db-wal", "coordinator.db-shm"}) {
      remove(name);
    }
    REQUIRE(StartCode(home, "rolled back") == StatusCode::kDataLoss);
  }
  SECTION("others may read it") {
    std::filesystem::permissions(home.File("home"), std::filesystem::perms::others_read,
                                 std::filesystem::perm_options::add);
    REQUIRE(StartCode(home, "chmod 700") == StatusCode::kPermissionDenied);
  }
}

TEST_CASE("A first start that was broken off between its keys begins anew") {
  const TestHome home;
  std::filesystem::create_directory(home.File("home"));
  std::filesystem::permissions(home.File("home"), std::filesystem::perms::owner_all);
  REQUIRE(TestKey(7).Save(home.File("home/operator.key")).ok());
  Running running(home);
  REQUIRE(running.coordinator->log_size() == 2);
  REQUIRE(running.coordinator->FindAccount(TestKey(7).public_key())->account == 0);
}

TEST_CASE("Submitting: once, whoever asks again; nothing forged, replayed or out of turn") {
  const TestHome home;
  Running running(home);
  const SubmitOutcome invited = running.Invite(TestKey(50), v1::OWNER, 2);
  REQUIRE(invited.status.ok());
  const v1::SignedIntent open = running.Open(invited.index, TestKey(50), TestKey(51), "ada");
  const SubmitOutcome opened = running.Submit(open);
  REQUIRE(opened.status.ok());
  REQUIRE(opened.index == 3);
  REQUIRE(running.coordinator->FindAccount(TestKey(51).public_key())->name == "ada");

  // The receipt proves the entry under the log's key.
  REQUIRE(ledger::ParseReceipt(opened.receipt).ok());
  REQUIRE(*running.coordinator->Receipt(3) == opened.receipt);

  const SubmitOutcome again = running.Submit(open);
  REQUIRE(again.status.ok());
  REQUIRE(again.index == opened.index);
  REQUIRE(again.receipt == opened.receipt);
  REQUIRE(running.coordinator->log_size() == 4);

  const auto self = running.coordinator->FindAccount(TestKey(51).public_key());
  v1::Intent invite;
  invite.set_genesis(base::Bytes(running.coordinator->genesis_hash()));
  invite.set_account(self->account);
  invite.set_sequence(self->next_sequence);
  invite.set_not_after_ms(running.now_ms + 60'000);
  invite.mutable_invite()->set_token_key(TestKey(52).public_key());
  invite.mutable_invite()->set_role(v1::TEACHER);
  invite.mutable_invite()->set_uses(1);
  invite.mutable_invite()->set_expires_ms(running.now_ms + 60'000);

  SECTION("another's signature") {
    REQUIRE(running.Submit(ledger::SignIntent(invite, TestKey(53))).status.code() ==
            StatusCode::kUnauthenticated);
  }
  SECTION("its bytes again after a restart; other bytes of that sequence number never") {
    const v1::SignedIntent sealed = ledger::SignIntent(invite, TestKey(51));
    const SubmitOutcome first = running.Submit(sealed);
    REQUIRE(first.status.ok());
    REQUIRE(first.next_sequence == self->next_sequence + 1);
    running.coordinator.reset();
    Running second(home);
    const SubmitOutcome repeated = second.Submit(sealed);
    REQUIRE(repeated.status.ok());
    REQUIRE(repeated.index == first.index);
    REQUIRE(*second.coordinator->ReceiptOfSequence(self->account, self->next_sequence) ==
            repeated.receipt);

    invite.mutable_invite()->set_uses(2);
    const SubmitOutcome replayed = second.Submit(ledger::SignIntent(invite, TestKey(51)));
    REQUIRE(replayed.status.code() == StatusCode::kAlreadyExists);
    REQUIRE(replayed.next_sequence == self->next_sequence + 1);
    REQUIRE(second.coordinator->log_size() == 5);
    REQUIRE(Refused(second.coordinator->ReceiptOfSequence(self->account, 77), StatusCode::kNotFound,
                    "sequence 77"));
  }
  SECTION("a sequence number too far") {
    invite.set_sequence(self->next_sequence + 1);
    REQUIRE_FALSE(running.Submit(ledger::SignIntent(invite, TestKey(51))).status.ok());
  }
  SECTION("too late") {
    running.now_ms += 61'000;
    REQUIRE(running.Submit(ledger::SignIntent(invite, TestKey(51))).status.code() ==
            StatusCode::kFailedPrecondition);
  }
  SECTION("bytes that are no intent") {
    v1::SignedIntent garbage;
    garbage.set_payload("\xff\xff garbage");
    REQUIRE(running.Submit(garbage).status.code() == StatusCode::kInvalidArgument);
  }
}

TEST_CASE("Many callers at once: every answer is its own entry's") {
  const TestHome home;
  Running running(home);
  constexpr uint64_t kCallers = 300;  // more than one batch
  std::atomic<uint64_t> answers{0};
  std::vector<SubmitOutcome> outcomes(kCallers);
  for (uint64_t i = 0; i < kCallers; ++i) {
    running.coordinator->Issue(0, 1, "", [&, i](SubmitOutcome outcome) {
      outcomes[i] = std::move(outcome);
      ++answers;
    });
  }
  while (answers < kCallers) std::this_thread::yield();
  for (uint64_t i = 0; i < kCallers; ++i) {
    REQUIRE(outcomes[i].status.ok());
    REQUIRE(outcomes[i].index == 2 + i);
    REQUIRE(ledger::ParseReceipt(outcomes[i].receipt)->index == 2 + i);
  }
  REQUIRE(running.coordinator->Account(0).available() == static_cast<int64_t>(kCallers));
}

TEST_CASE("An account is found by its number or its name, if only one has it") {
  const TestHome home;
  Running running(home);
  const uint64_t invite = running.Invite(TestKey(50), v1::OWNER, 3).index;
  REQUIRE(running.Submit(running.Open(invite, TestKey(50), TestKey(60), "ada")).status.ok());
  REQUIRE(running.Submit(running.Open(invite, TestKey(50), TestKey(61), "bob")).status.ok());
  // A name that is refused uses up no invite.
  const Status taken = running.Submit(running.Open(invite, TestKey(50), TestKey(62), "Bob")).status;
  REQUIRE(Refused(taken, StatusCode::kFailedPrecondition, "account 4 is called \"bob\""));
  REQUIRE(running.Submit(running.Open(invite, TestKey(50), TestKey(62), "bo")).status.ok());
  const Coordinator& coordinator = *running.coordinator;
  REQUIRE(*coordinator.ResolveAccount("operator") == 0);
  REQUIRE(*coordinator.ResolveAccount("issuer") == 1);
  REQUIRE(*coordinator.ResolveAccount("ada") == 3);
  REQUIRE(*coordinator.ResolveAccount("4") == 4);
  REQUIRE(*coordinator.ResolveAccount("bo") == 5);
  REQUIRE(Refused(coordinator.ResolveAccount("eve"), StatusCode::kNotFound, "'eve'"));
  REQUIRE(Refused(coordinator.ResolveAccount("99"), StatusCode::kNotFound, "'99'"));
  REQUIRE(Refused(coordinator.ResolveAccount(""), StatusCode::kNotFound, "''"));
}

TEST_CASE("A log in which two accounts have one name is served, and the name is no answer") {
  testing::LedgerBuilder log;
  const uint64_t invite = log.Invite(0, v1::TEACHER, 2, 0);
  log.next_name = "bob";
  const uint64_t first = log.Join(invite);
  log.next_name = "bob";
  log.Join(invite);
  const HistoryHome home(log);
  const Running running(home);
  REQUIRE(Refused(running.coordinator->ResolveAccount("bob"), StatusCode::kInvalidArgument,
                  fmt::format("such as {}", first)));
}

TEST_CASE("A job that cannot be done aborts its round after one more try") {
  SmallWorld world(3);
  // Revealed, but the artifacts are not here.
  REQUIRE(world.log.ThroughReveals(world.id, {}));
  const HistoryHome home(world.log);
  Running running(home, world.log.now_ms);
  std::promise<std::string> seen;
  bool done = false;
  const auto stream = running.coordinator->Watch(
      world.owner, world.id, [&](const std::shared_ptr<const v1::CampaignView>& view) {
        if (view->round_phase() != "waiting" || done) return;
        done = true;
        seen.set_value(view->phase());
      });
  REQUIRE(stream.ok());
  REQUIRE(seen.get_future().get() == "running");
  running.coordinator->Leave(*stream);
  REQUIRE(running.coordinator->log_size() == world.log.entries.size() + 1);  // ROUND_ABORT
}

TEST_CASE("Export writes the bundle and what is no secret") {
  SmallWorld world(2);
  world.log.OpenRound(world.id);
  const HistoryHome home(world.log);
  // Blobs by the digests the history names.
  const auto put = [&](const base::Hash& digest) {
    std::ofstream(home.File("home/artifacts/") + base::Hex(digest)) << "blob";
  };
  std::filesystem::create_directories(home.File("home/artifacts"));
  put(TestHash("model", 0));
  put(TestHash("validation", 0));
  put(TestHash("nobody's", 0));
  Running running(home, world.log.now_ms);
  const auto bare = running.coordinator->Export(home.File("bare"), false);
  REQUIRE(bare.ok());
  REQUIRE(bare->entries == world.log.entries.size());
  REQUIRE(bare->artifacts == 0);
  REQUIRE(std::filesystem::exists(home.File("bare/log.bundle")));
  REQUIRE_FALSE(std::filesystem::exists(home.File("bare/artifacts")));

  const auto whole = running.coordinator->Export(home.File("whole"), true);
  REQUIRE(whole.ok());
  REQUIRE(whole->artifacts == 1);
  REQUIRE(std::filesystem::exists(home.File("whole/artifacts/") + base::Hex(TestHash("model", 0))));
  // The same bytes as for the web port.
  std::string bundle;
  REQUIRE(running.coordinator
              ->WriteBundle([&](std::string_view bytes) {
                bundle += bytes;
                return OkStatus();
              })
              .ok());
  std::ifstream file(home.File("whole/log.bundle"), std::ios::binary);
  REQUIRE(bundle == std::string(std::istreambuf_iterator<char>(file), {}));
  REQUIRE_FALSE(running.coordinator->Export("/proc/nowhere", false).ok());
}

TEST_CASE("One update a teacher and round is taken") {
  SmallWorld world(2);
  REQUIRE(world.log.ThroughCommits(world.id, {}));
  const HistoryHome home(world.log);
  Running running(home, world.log.now_ms);
  v1::UploadHead head;
  head.set_kind(v1::UPDATE);
  head.set_campaign(world.id);
  head.set_round(1);
  head.set_size_bytes(40);
  head.set_digest(base::Bytes(TestHash("one", 0)));
  REQUIRE(running.coordinator->CheckUpload(world.teachers[0], head).ok());
  REQUIRE(running.coordinator->CheckUpload(world.teachers[0], head).ok());
  REQUIRE(running.coordinator->CheckUpload(world.teachers[1], head).ok());
  head.set_digest(base::Bytes(TestHash("two", 0)));
  REQUIRE(Refused(running.coordinator->CheckUpload(world.teachers[0], head),
                  StatusCode::kFailedPrecondition, "only one is taken"));
}

TEST_CASE("Statements are the operator's, about this log") {
  const TestHome home;
  Running running(home);
  const v1::SignedStatement sealed =
      running.coordinator->State(5, v1::UPLOAD_REFUSED, "subject", "reason");
  const auto key = ledger::SigningKey::Load(home.File("home/operator.key"));
  REQUIRE(ledger::VerifyDsse(key->public_key(), ledger::kStatementType, sealed.payload(),
                             sealed.signature()));
  const auto statement = ledger::Decode<v1::Statement>(sealed.payload());
  REQUIRE(statement->genesis() == base::Bytes(running.coordinator->genesis_hash()));
  REQUIRE(statement->account() == 5);
  REQUIRE(statement->log_size() == 2);
  REQUIRE(statement->time_ms() == running.now_ms);
}

}  // namespace
}  // namespace crowdteach::server
