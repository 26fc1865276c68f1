// A whole coordinator in this process: its own database, artifacts and threads, a clock by hand.
#pragma once

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include "ledger/canonical.h"
#include "proto/base/bytes.h"
#include "server/coordinator.h"
#include "tests/unit/server/history.h"

namespace crowdteach::server {

struct Running {
  explicit Running(const TestHome& home, uint64_t start_ms = 1'700'000'000'000) : now_ms(start_ms) {
    CoordinatorOptions options = Options(home);
    auto started = Coordinator::Start(options);
    INFO(started.status().ToString());
    REQUIRE(started.ok());
    coordinator = *std::move(started);
  }
  CoordinatorOptions Options(const TestHome& home) {
    CoordinatorOptions options;
    options.home = home.File("home");
    options.worker_path = std::string(CROWDTEACH_BIN_DIR) + "/crowdteach-worker";
    options.now_ms = [this] { return now_ms.load(); };
    return options;
  }
  SubmitOutcome Submit(const v1::SignedIntent& intent) {
    std::promise<SubmitOutcome> outcome;
    coordinator->Submit(intent, [&](SubmitOutcome o) { outcome.set_value(std::move(o)); });
    return outcome.get_future().get();
  }
  SubmitOutcome Issue(uint64_t to, uint64_t amount) {
    std::promise<SubmitOutcome> outcome;
    coordinator->Issue(to, amount, "by test",
                       [&](SubmitOutcome o) { outcome.set_value(std::move(o)); });
    return outcome.get_future().get();
  }
  SubmitOutcome Invite(const ledger::SigningKey& token, v1::Role role, uint32_t uses) {
    std::promise<SubmitOutcome> outcome;
    coordinator->Invite(token.public_key(), role, uses, now_ms + 3'600'000, 0,
                        [&](SubmitOutcome o) { outcome.set_value(std::move(o)); });
    return outcome.get_future().get();
  }
  // ACCOUNT_OPEN by an invite.
  v1::SignedIntent Open(uint64_t invite, const ledger::SigningKey& token,
                        const ledger::SigningKey& key, const std::string& name) {
    v1::TokenClaim claim;
    claim.set_genesis(base::Bytes(coordinator->genesis_hash()));
    claim.set_key(key.public_key());
    v1::Intent intent;
    intent.set_genesis(claim.genesis());
    intent.set_not_after_ms(now_ms + 60'000);
    v1::AccountOpen* open = intent.mutable_account_open();
    open->set_key(key.public_key());
    open->set_invite(invite);
    open->set_name(name);
    open->set_token_signature(token.SignDsse(ledger::kTokenType, ledger::Encode(claim)));
    return ledger::SignIntent(intent, key);
  }

  std::atomic<uint64_t> now_ms;
  std::unique_ptr<Coordinator> coordinator;
};

// A home with a history in it, which a coordinator may be started in.
struct HistoryHome : TestHome {
  explicit HistoryHome(const testing::LedgerBuilder& history) {
    std::filesystem::create_directory(File("home"));
    std::filesystem::permissions(File("home"), std::filesystem::perms::owner_all);
    REQUIRE(history.operator_key.Save(File("home/operator.key")).ok());
    REQUIRE(history.issuer_key.Save(File("home/issuer.key")).ok());
    REQUIRE(history.log_key.Save(File("home/log.key")).ok());
    OpenedLog(File("home"), history).TakeOver(history);
  }
};

}  // namespace crowdteach::server
