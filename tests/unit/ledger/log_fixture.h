// A log in a fresh folder, fixed keys, and the first intents every log has.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "ledger/canonical.h"
#include "ledger/checkpoint.h"
#include "ledger/entry.h"
#include "ledger/log.h"
#include "ledger/signature.h"
#include "ledger/sqlite_log_store.h"
#include "proto/base/digest.h"
#include "tests/support/catch.h"

namespace crowdteach::ledger {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "crowdteach-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

template <typename T>
T Value(StatusOr<T> value) {
  INFO(value.status());
  REQUIRE(value.ok());
  return *std::move(value);
}
inline void RequireOk(const Status& status) {
  INFO(status);
  REQUIRE(status.ok());
}

constexpr uint64_t kStartMs = 1'700'000'000'000;

// Seeds 01…01, 02…02, 03…03: the keys of FORMAT.md's example too.
struct Keys {
  SigningKey log = *SigningKey::FromSeed(std::string(32, 1));
  SigningKey op = *SigningKey::FromSeed(std::string(32, 2));
  SigningKey issuer = *SigningKey::FromSeed(std::string(32, 3));
  std::string origin = DefaultOrigin(log.public_key());
  VerifierKey vkey = MakeVerifierKey(origin, log.public_key());
};

inline v1::SignedIntent GenesisIntent(const Keys& keys) {
  v1::Intent intent;
  intent.set_sequence(1);
  intent.set_not_after_ms(kStartMs + 3'600'000);
  v1::Genesis& genesis = *intent.mutable_genesis_body();
  genesis.set_origin(keys.origin);
  genesis.set_log_vkey(FormatVkey(keys.vkey));
  genesis.set_operator_key(keys.op.public_key());
  genesis.set_issuer_key(keys.issuer.public_key());
  genesis.set_asset("credits");
  return SignIntent(intent, keys.op);
}

inline v1::SignedIntent IssuerOpenIntent(const Keys& keys, const base::Hash& genesis) {
  v1::Intent intent;
  intent.set_genesis(base::Bytes(genesis));
  intent.set_not_after_ms(kStartMs + 3'600'000);
  intent.mutable_account_open()->set_key(keys.issuer.public_key());
  intent.mutable_account_open()->set_name("issuer");
  return SignIntent(intent, keys.issuer);
}

inline v1::SignedIntent IssueIntent(const Keys& keys, const State& state, uint64_t to,
                                    uint64_t amount, std::string_view reference = "") {
  v1::Intent intent;
  intent.set_genesis(base::Bytes(state.genesis_hash()));
  intent.set_account(1);
  intent.set_sequence(state.FindAccount(1)->next_sequence);
  intent.set_not_after_ms(state.last_time_ms() + 3'600'000);
  intent.mutable_issue()->set_to(to);
  intent.mutable_issue()->set_amount(amount);
  intent.mutable_issue()->set_reference(std::string(reference));
  return SignIntent(intent, keys.issuer);
}

// Store and log over one folder; Reopen is a restart.
struct LogFixture {
  TemporaryFolder folder;
  Keys keys;
  std::unique_ptr<SqliteLogStore> store;
  std::unique_ptr<Log> log;

  Log::Options LogOptions() const { return {.head_path = folder.File("head")}; }
  StatusOr<std::unique_ptr<Log>> TryOpenLog() {
    return Log::Open(store.get(), keys.log, keys.origin, LogOptions());
  }
  LogFixture() { Reopen(); }
  void Reopen() {
    log.reset();
    store.reset();
    store = Value(SqliteLogStore::Open({.path = folder.File("log.db")}));
    log = Value(TryOpenLog());
  }
  // GENESIS, the issuer's ACCOUNT_OPEN, and `issues` ISSUEs, in one batch.
  void Begin(int issues) {
    Value(log->Draft(GenesisIntent(keys), kStartMs));
    Value(log->Draft(IssuerOpenIntent(keys, log->state().genesis_hash()), kStartMs + 1));
    for (int i = 0; i < issues; ++i) Issue(static_cast<uint64_t>(i) + 1);
    RequireOk(log->Commit({}));
  }
  LoggedEntry Issue(uint64_t amount) {
    return Value(
        log->Draft(IssueIntent(keys, log->state(), 1, amount), log->state().last_time_ms() + 1));
  }
};

}  // namespace crowdteach::ledger
