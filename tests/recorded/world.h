// A coordinator on a given home, with a clock by hand, and people with homes of their own.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "client/home.h"
#include "client/session.h"
#include "ledger/entry.h"
#include "proto/base/bytes.h"
#include "proto/base/file.h"
#include "proto/wire/certificates.h"
#include "proto/wire/invite.h"
#include "server/coordinator.h"
#include "server/rpc/admin_client.h"
#include "server/rpc/rpc_server.h"
#include "tests/support/catch.h"

namespace crowdteach::testing {

inline const std::string kRecorded = std::string(CROWDTEACH_SOURCE_DIR) + "/tests/recorded/";

template <typename T>
T Must(StatusOr<T> value) {
  INFO(value.status().ToString());
  REQUIRE(value.ok());
  return *std::move(value);
}
inline void Must(const Status& status) {
  INFO(status.ToString());
  REQUIRE(status.ok());
}

inline uint64_t WallClockMs() {
  using namespace std::chrono;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

// A folder that goes away.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "crowdteach-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Copies a home out of, or into, the recording: git keeps no modes, and no empty folders.
inline void CopyHome(const std::string& from, const std::string& to) {
  namespace fs = std::filesystem;
  fs::create_directories(to);
  for (const auto& item : fs::recursive_directory_iterator(from)) {
    const fs::path within = fs::relative(item.path(), from);
    if (*within.begin() == "scratch") continue;
    const fs::path target = fs::path(to) / within;
    if (item.is_directory()) {
      fs::create_directories(target);
      fs::permissions(target, fs::perms::owner_all);
    } else if (item.is_regular_file() && within != "lock" && within != "addresses") {
      fs::copy_file(item.path(), target);
      fs::permissions(target, fs::perms::owner_read | fs::perms::owner_write);
    }
  }
  fs::permissions(to, fs::perms::owner_all);
}

struct Server {
  Server(const std::string& home, uint64_t start_ms) : now_ms(start_ms), home(home) {
    server::CoordinatorOptions options;
    options.home = home;
    options.worker_path = std::string(CROWDTEACH_BIN_DIR) + "/crowdteach-worker";
    options.now_ms = [this] { return now_ms.load(); };
    coordinator = Must(server::Coordinator::Start(options));
    // Certificates are checked against the wall clock; the leaf is made anew when it is over.
    identity = Must(wire::LoadOrCreateIdentity(home + "/tls", WallClockMs()));
    rpc = Must(server::RpcServer::Listen(coordinator.get(), identity,
                                         {{"127.0.0.1", 0}, {}, [this] { return now_ms.load(); }}));
    address = "127.0.0.1:" + std::to_string(rpc->port());
    Must(rpc->StartAdmin(home, {{address}, {}, identity.ca_pem}));
  }
  void Issue(const std::string& to, uint64_t amount) const {
    v1::IssueCreditsRequest request;
    request.set_to(to);
    request.set_amount(amount);
    request.set_reference("recorded");
    Must(Must(server::AdminClient::Of(home)).IssueCredits(request));
  }
  std::string Invite(v1::Role role, uint64_t stake) const {
    v1::MakeInviteRequest request;
    request.set_role(role);
    request.set_uses(9);
    request.set_valid_ms(uint64_t{30} * 86'400'000);
    request.set_stake_grant(stake);
    return Must(Must(server::AdminClient::Of(home)).MakeInvite(request)).invite();
  }

  std::atomic<uint64_t> now_ms;
  std::string home;
  std::string address;
  wire::ServerIdentity identity;
  std::unique_ptr<server::Coordinator> coordinator;
  std::unique_ptr<server::RpcServer> rpc;
};

// Somebody with a home and a session, who may attend one campaign.
class Person {
 public:
  Person(const std::string& home_path, const std::string& invite_text, const std::string& address,
         const std::string& name)
      : home(Must(client::Home::Open(home_path))) {
    const wire::Invite invite = Must(wire::ParseInvite(invite_text, "invite"));
    const client::SessionOptions options{"", {address}, invite.ca_pem, invite.log_vkey, true};
    session = Must(client::Session::Connect(home.get(), options));
    Must(session->Register(Must(ledger::SigningKey::FromSeed(invite.token_seed)), invite.index,
                           name));
    Must(home->SaveInvite(invite_text));
  }
  ~Person() { Leave(); }

  void Enrol(uint64_t campaign) {
    v1::Intent body;
    body.mutable_enrol()->set_campaign(campaign);
    body.mutable_enrol()->set_examples(20);
    Must(session->Submit(body));
  }
  void Attend(uint64_t campaign) {
    stream_ = std::thread([this, campaign] {
      session
          ->Attend(campaign,
                   [this](const v1::Notice& notice) {
                     const std::lock_guard lock(mutex_);
                     notices_.push_back(notice);
                     came_.notify_one();
                     return true;
                   })
          .IgnoreError();  // it ends when we leave
    });
  }
  // The next notice of this kind; others before it are left.
  v1::Notice Next(v1::Notice::Kind kind) {
    std::unique_lock lock(mutex_);
    for (;;) {
      REQUIRE(came_.wait_for(lock, std::chrono::seconds(120), [&] { return !notices_.empty(); }));
      const v1::Notice notice = notices_.front();
      notices_.pop_front();
      if (notice.kind() == kind) return notice;
    }
  }
  void Leave() {
    if (!stream_.joinable()) return;
    session->Cancel();
    stream_.join();
  }

  // Commits to an update whose numbers are all `value`.
  void Commit(uint64_t campaign, const v1::Notice& task, uint64_t parameters, int32_t value) {
    const client::VerifiedEntry opened = Must(session->Verify(task.receipts(0)));
    std::string update;
    for (uint64_t i = 0; i < parameters; ++i) {
      update.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    const std::string path = home->blobs().TemporaryPath();
    std::ofstream(path, std::ios::binary) << update;
    prepared = {campaign, opened.logged.intent.round_open().round(),
                Must(home->blobs().Adopt(base::BlobKind::kUpdate, path)).digest,
                std::string(32, static_cast<char>('a' + value % 26))};
    Must(home->SaveRound(prepared));
    v1::Intent body;
    body.mutable_update_commit()->set_campaign(campaign);
    body.mutable_update_commit()->set_round(prepared.round);
    body.mutable_update_commit()->set_commitment(
        base::Bytes(ledger::SealedCommitment(session->genesis_hash(), campaign, prepared.round,
                                             session->account(), prepared.update, prepared.salt)));
    Must(session->Submit(body));
  }
  void Reveal() {
    Must(session->Upload(base::BlobKind::kUpdate, prepared.update, prepared.campaign,
                         prepared.round, {}));
    v1::Intent body;
    body.mutable_update_reveal()->set_campaign(prepared.campaign);
    body.mutable_update_reveal()->set_round(prepared.round);
    body.mutable_update_reveal()->set_update_digest(base::Bytes(prepared.update));
    body.mutable_update_reveal()->set_salt(prepared.salt);
    Must(session->Submit(body));
  }

  std::unique_ptr<client::Home> home;
  std::unique_ptr<client::Session> session;
  client::PreparedRound prepared;

 private:
  std::thread stream_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<v1::Notice> notices_;
};

}  // namespace crowdteach::testing
