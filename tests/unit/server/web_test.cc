// The HTTPS port: sessions, who may read what and how that is recorded; readers that stand still do
// not keep others waiting.
#include "server/web/web_server.h"

#include <httplib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>
#include <vector>

#include "ledger/signature.h"
#include "proto/base/protocol.h"
#include "server/access_log.h"
#include "tests/unit/server/running.h"

namespace crowdteach::server {
namespace {

std::unique_ptr<httplib::SSLClient> Client(const WebServer& web) {
  auto client = std::make_unique<httplib::SSLClient>("127.0.0.1", web.port());
  client->enable_server_certificate_verification(false);
  return client;
}

// A coordinator with its HTTPS port and a history: updates for auditors, one of them in the store.
struct Site {
  Site() {
    log.RunRound(world.id, {});
    update = log.UpdateOf(world.id, world.teachers[0], {});
    token_key = testing::TestKey(900);
    v1::Invite invite;
    invite.set_token_key(token_key.public_key());
    invite.set_role(v1::AUDITOR);
    invite.set_uses(1);
    invite.set_expires_ms(log.now_ms + 86'400'000);
    invite_index = log.Say(0, invite);
    home = std::make_unique<HistoryHome>(log);
    std::filesystem::create_directories(home->File("home/artifacts"));
    std::ofstream(home->File("home/artifacts/") + base::Hex(update)) << "the update's bytes";
    running = std::make_unique<Running>(*home, log.now_ms);
    identity = *wire::LoadOrCreateIdentity(home->File("home/tls"), running->now_ms);
    web = *WebServer::Listen(running->coordinator.get(), identity, {"127.0.0.1", 0});
  }
  // The answer's code and body.
  std::pair<int, std::string> Post(const std::string& path,
                                   const google::protobuf::Message& message) const {
    const auto answer =
        Client(*web)->Post(path, message.SerializeAsString(), "application/x-protobuf");
    REQUIRE(answer);
    return {answer->status, answer->body};
  }
  std::pair<int, std::string> Get(const base::Hash& digest, const std::string& token = "",
                                  const std::string& range = "") const {
    httplib::Headers headers;
    if (!token.empty()) headers.emplace("Authorization", "Bearer " + base::Hex(token));
    if (!range.empty()) headers.emplace("Range", range);
    const auto answer = Client(*web)->Get("/artifact/" + base::Hex(digest), headers);
    REQUIRE(answer);
    return {answer->status, answer->body};
  }
  std::string Nonce() const {
    v1::HelloRequest request;
    request.set_protocol_version(base::kNewestProtocol);
    const auto [code, body] = Post("/hello", request);
    REQUIRE(code == 200);
    v1::HelloReply reply;
    REQUIRE(reply.ParseFromString(body));
    return reply.nonce();
  }
  v1::OpenSessionRequest Claim(const ledger::SigningKey& key, const std::string& nonce,
                               const base::Hash& ca_digest) const {
    v1::SessionClaim claim;
    claim.set_genesis(base::Bytes(running->coordinator->genesis_hash()));
    claim.set_nonce(nonce);
    claim.set_ca_digest(base::Bytes(ca_digest));
    v1::OpenSessionRequest request;
    request.set_public_key(key.public_key());
    request.set_claim(ledger::Encode(claim));
    request.set_signature(key.SignDsse(ledger::kSessionType, request.claim()));
    return request;
  }
  v1::OpenSessionRequest Claim(const ledger::SigningKey& key) const {
    return Claim(key, Nonce(), *wire::CaDigest(identity.ca_pem));
  }
  std::string Token(const ledger::SigningKey& key) const {
    const auto [code, body] = Post("/session", Claim(key));
    INFO(body);
    REQUIRE(code == 200);
    v1::OpenSessionReply reply;
    REQUIRE(reply.ParseFromString(body));
    return reply.token();
  }
  std::vector<Access> Accesses() const {
    std::vector<Access> accesses;
    REQUIRE(ReadAccesses(home->File("home/accesses"), [&](const Access& access) {
              accesses.push_back(access);
              return OkStatus();
            }).ok());
    return accesses;
  }

  SmallWorld world{4};
  testing::LedgerBuilder& log = world.log;
  base::Hash update{};
  ledger::SigningKey token_key = ledger::SigningKey::Generate();
  uint64_t invite_index = 0;
  std::unique_ptr<HistoryHome> home;
  std::unique_ptr<Running> running;
  wire::ServerIdentity identity;
  std::unique_ptr<WebServer> web;
};

TEST_CASE("An auditor opens its account and a session over HTTPS, and reads what the terms allow") {
  const Site site;
  const auto key = ledger::SigningKey::Generate();
  REQUIRE(site.Post("/session", site.Claim(key)).first == 404);  // no account yet
  REQUIRE(site.Get(site.update).first == 403);
  v1::SubmitRequest request;
  *request.mutable_intent() = site.running->Open(site.invite_index, site.token_key, key, "vera");
  const auto [code, body] = site.Post("/submit", request);
  REQUIRE(code == 200);
  v1::SubmitReply reply;
  REQUIRE(reply.ParseFromString(body));
  REQUIRE(reply.has_receipt());
  const std::string token = site.Token(key);
  REQUIRE(site.Get(site.update, token) == std::pair(200, std::string("the update's bytes")));
  REQUIRE(site.Get(site.update, token, "bytes=4-") ==
          std::pair(206, std::string("update's bytes")));
  REQUIRE(site.Get(site.update, token, "bytes=4-9") == std::pair(206, std::string("update")));
  for (const char* range : {"bytes=18-", "bytes=-3", "bytes=3-18", "bytes=0-1,3-4"}) {
    INFO(range);
    REQUIRE(site.Get(site.update, token, range).first == 416);
  }
  REQUIRE(site.Get(site.update, std::string(32, 'x')).first == 401);
  // Whatever range is asked for, a refusal stays what it is.
  REQUIRE(site.Get(site.update, std::string(32, 'x'), "bytes=1048576-").first == 401);
  REQUIRE(site.Get(site.update, "", "bytes=1048576-").first == 403);
  REQUIRE(site.Get(testing::TestHash("nothing", 0), token, "bytes=1048576-").first == 404);
  REQUIRE(site.Get(testing::TestHash("nothing", 0), token).first == 404);
  // Each that was served is recorded, and nothing else.
  const auto account = site.running->coordinator->FindAccount(key.public_key());
  REQUIRE(account.has_value());
  const std::vector<Access> accesses = site.Accesses();
  REQUIRE(accesses.size() == 3);
  const Access whole{site.running->now_ms,
                     account->account,
                     base::BlobKind::kUpdate,
                     site.update,
                     site.world.id,
                     0,
                     18};
  REQUIRE(accesses[0] == whole);
  REQUIRE(accesses[1].first_byte == 4);
  REQUIRE(accesses[1].bytes == 14);
  REQUIRE(accesses[2].bytes == 6);
}

TEST_CASE("A session claim is good once, for this port's CA, by the key it names") {
  const Site site;
  v1::SubmitRequest open;
  const auto key = ledger::SigningKey::Generate();
  *open.mutable_intent() = site.running->Open(site.invite_index, site.token_key, key, "vera");
  REQUIRE(site.Post("/submit", open).first == 200);
  const v1::OpenSessionRequest good = site.Claim(key);
  REQUIRE(site.Post("/session", good).first == 200);
  REQUIRE(site.Post("/session", good).first == 401);  // again: the nonce is used
  REQUIRE(site.Post("/session",
                    site.Claim(key, std::string(32, 'n'), *wire::CaDigest(site.identity.ca_pem)))
              .first == 401);
  // Somebody in between has another certificate, so the claim that was made for it is no good here.
  const auto between = wire::LoadOrCreateIdentity(site.home->File("between"), site.running->now_ms);
  REQUIRE(site.Post("/session", site.Claim(key, site.Nonce(), *wire::CaDigest(between->ca_pem)))
              .first == 401);
  v1::OpenSessionRequest forged = site.Claim(ledger::SigningKey::Generate());
  forged.set_public_key(key.public_key());
  REQUIRE(site.Post("/session", forged).first == 401);
  v1::HelloRequest old;
  old.set_protocol_version(base::kNewestProtocol + 1);
  const auto [code, why] = site.Post("/hello", old);
  REQUIRE(code == 409);
  REQUIRE(why.find("ask the operator to upgrade") != std::string::npos);
}

TEST_CASE("Nothing but an ACCOUNT_OPEN is submitted over HTTPS") {
  const Site site;
  v1::SubmitRequest request;
  v1::Issue issue;
  issue.set_to(site.world.owner);
  issue.set_amount(1);
  *request.mutable_intent() = site.log.Sign(1, site.log.Complete(1, issue));
  REQUIRE(site.Post("/submit", request).first == 403);
  const uint64_t size = site.running->coordinator->log_size();
  // A refusal is signed, as on the other port.
  *request.mutable_intent() = site.running->Open(site.invite_index, testing::TestKey(901),
                                                 ledger::SigningKey::Generate(), "eve");
  const auto [code, body] = site.Post("/submit", request);
  REQUIRE(code == 200);
  v1::SubmitReply reply;
  REQUIRE(reply.ParseFromString(body));
  REQUIRE(reply.has_refusal());
  const auto client = Client(*site.web);
  for (const char* path : {"/hello", "/session", "/submit"}) {
    const auto answer = client->Post(path, "\xff\xff", "application/x-protobuf");
    REQUIRE(answer);
    REQUIRE(answer->status == 400);
  }
  const auto large = Client(*site.web)->Post("/submit", std::string(5000, 'x'), "text/plain");
  REQUIRE((!large || large->status == 413));
  REQUIRE(site.running->coordinator->log_size() == size);
}

TEST_CASE("A dozen readers that stand still do not keep an auditor waiting") {
  v1::CampaignOpen open = testing::SmallCampaign();
  open.mutable_terms()->set_update_readers(v1::PUBLIC);
  SmallWorld world(4, open);
  world.log.RunRound(world.id, {});
  const HistoryHome home(world.log);
  const base::Hash update = world.log.UpdateOf(world.id, world.teachers[0], {});
  std::filesystem::create_directories(home.File("home/artifacts"));
  // More than sockets buffer.
  std::ofstream(home.File("home/artifacts/") + base::Hex(update)) << std::string(16 << 20, 'x');
  Running running(home, world.log.now_ms);
  const auto identity = wire::LoadOrCreateIdentity(home.File("home/tls"), running.now_ms);
  REQUIRE(identity.ok());
  const auto web = WebServer::Listen(running.coordinator.get(), *identity, {"127.0.0.1", 0});
  REQUIRE(web.ok());

  constexpr int kReaders = 12;
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  std::atomic<int> reading{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, ended] {
      bool first = true;
      Client(**web)->Get("/artifact/" + base::Hex(update), [&](const char*, size_t) {
        if (std::exchange(first, false)) ++reading;
        ended.wait();
        return false;
      });
    });
  }
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(8);
  while (reading < kReaders && std::chrono::steady_clock::now() < patience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const int were_reading = reading;
  const auto checkpoint = Client(**web)->Get("/checkpoint");
  const bool answered = checkpoint && checkpoint->status == 200;
  end.set_value();
  for (std::thread& reader : readers) reader.join();
  REQUIRE(were_reading == kReaders);  // each has a thread of the server's
  REQUIRE(answered);
  REQUIRE(checkpoint->body == running.coordinator->checkpoint());
}

TEST_CASE(
    "An auditor of another protocol is told who must upgrade, one who says nothing is served") {
  const TestHome home;
  Running running(home);
  const auto identity = wire::LoadOrCreateIdentity(home.File("tls"), running.now_ms);
  REQUIRE(identity.ok());
  const auto web = WebServer::Listen(running.coordinator.get(), *identity, {"127.0.0.1", 0});
  REQUIRE(web.ok());
  const auto get = [&](const httplib::Headers& headers) {
    const auto result = Client(**web)->Get("/checkpoint", headers);
    REQUIRE(result);
    return *result;
  };
  const httplib::Response plain = get({});
  CHECK(plain.status == 200);
  const auto self = base::ParseSpeaker(plain.get_header_value(base::kProtocolHeader));
  REQUIRE(self.has_value());
  CHECK(self->newest == base::kNewestProtocol);
  CHECK(get({{base::kProtocolHeader, "1-9 crowdteach-audit 9"}}).status == 200);
  CHECK(get({{base::kProtocolHeader, "nonsense"}}).status == 200);
  const httplib::Response newer = get({{base::kProtocolHeader, "8-9 crowdteach-audit 9"}});
  CHECK(newer.status == 409);
  CHECK(newer.body.find("crowdteach-audit 9 speaks protocols 8 to 9") != std::string::npos);
  CHECK(newer.body.find("upgrade the coordinator") != std::string::npos);
}

}  // namespace
}  // namespace crowdteach::server
