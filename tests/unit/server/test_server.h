// A real coordinator with its ports on 127.0.0.1, and what a client says to it.
#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>

#include "crowdteach/v1/coordinator.grpc.pb.h"
#include "ledger/canonical.h"
#include "ledger/entry.h"
#include "ledger/signature.h"
#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"
#include "proto/base/protocol.h"
#include "proto/wire/credentials.h"
#include "proto/wire/invite.h"
#include "proto/wire/status.h"
#include "server/coordinator.h"
#include "server/rpc/admin_client.h"
#include "server/rpc/rpc_server.h"
#include "tests/support/catch.h"

namespace crowdteach::server {

inline uint64_t WallClockMs() {
  using namespace std::chrono;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

struct Home {
  Home() {
    char name[] = "/tmp/crowdteach-test-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Home() { std::filesystem::remove_all(path); }
  std::string path;
};

// A coordinator with its ports; its clock is moved by hand.
struct Server {
  Server() {
    CoordinatorOptions options;
    options.home = home.path;
    options.worker_path = "/nonexistent/crowdteach-worker";  // nothing here is scored
    options.now_ms = [this] { return now_ms.load(); };
    auto started = Coordinator::Start(options);
    INFO(started.status().ToString());
    REQUIRE(started.ok());
    coordinator = std::move(*started);
    identity = *wire::LoadOrCreateIdentity(home.path + "/tls", WallClockMs());
    auto listening =
        RpcServer::Listen(coordinator.get(), identity,
                          {{"127.0.0.1", 0}, {"203.0.113.5:7700", "[2001:db8::5]:7700"}, [this] {
                             return now_ms.load();
                           }});
    REQUIRE(listening.ok());
    rpc = std::move(*listening);
    const std::string address = "127.0.0.1:" + std::to_string(rpc->port());
    REQUIRE(rpc->StartAdmin(home.path, {{address}, {}, identity.ca_pem}).ok());
    stub = v1::Coordinator::NewStub(wire::PinnedChannel(address, identity.ca_pem));
  }

  wire::Invite MakeInvite(v1::Role role) {
    v1::MakeInviteRequest request;
    request.set_role(role);
    request.set_uses(3);
    request.set_valid_ms(3'600'000);
    const auto reply = AdminClient::Of(home.path)->MakeInvite(request);
    INFO(reply.status().ToString());
    REQUIRE(reply.ok());
    return *wire::ParseInvite(reply->invite(), "invite");
  }

  Home home;
  std::atomic<uint64_t> now_ms{WallClockMs()};
  wire::ServerIdentity identity;
  std::unique_ptr<Coordinator> coordinator;
  std::unique_ptr<RpcServer> rpc;
  std::unique_ptr<v1::Coordinator::Stub> stub;
};

// Calls a unary method, with a session's token if there is one.
template <typename Request, typename Reply>
StatusOr<Reply> Call(Server& server,
                     grpc::Status (v1::Coordinator::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Reply*),
                     const Request& request, const std::string& token = "") {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + base::Hex(token));
  Reply reply;
  const Status status = wire::FromGrpc(((*server.stub).*method)(&context, request, &reply));
  if (!status.ok()) return status;
  return reply;
}

inline v1::HelloReply SayHello(Server& server) {
  v1::HelloRequest request;
  request.set_protocol_version(base::kNewestProtocol);
  const auto reply = Call(server, &v1::Coordinator::Stub::Hello, request);
  REQUIRE(reply.ok());
  return *reply;
}

inline std::string NameOf(const ledger::SigningKey& key) {
  return "ada " + base::Hex(key.public_key()).substr(0, 8);
}

inline v1::SubmitRequest AccountOpen(Server& server, const wire::Invite& invite,
                                     const ledger::SigningKey& key) {
  const std::string genesis = base::Bytes(server.coordinator->genesis_hash());
  const auto token = ledger::SigningKey::FromSeed(invite.token_seed);
  v1::TokenClaim claim;
  claim.set_genesis(genesis);
  claim.set_key(key.public_key());
  v1::Intent intent;
  intent.set_genesis(genesis);
  intent.set_not_after_ms(server.now_ms + 60'000);
  intent.mutable_account_open()->set_key(key.public_key());
  intent.mutable_account_open()->set_invite(invite.index);
  intent.mutable_account_open()->set_name(NameOf(key));
  intent.mutable_account_open()->set_token_signature(
      token->SignDsse(ledger::kTokenType, ledger::Encode(claim)));
  v1::SubmitRequest request;
  *request.mutable_intent() = ledger::SignIntent(intent, key);
  return request;
}

inline v1::OpenSessionRequest Claim(Server& server, const ledger::SigningKey& key,
                                    const std::string& nonce) {
  v1::SessionClaim claim;
  claim.set_genesis(base::Bytes(server.coordinator->genesis_hash()));
  claim.set_nonce(nonce);
  claim.set_ca_digest(base::Bytes(*wire::CaDigest(server.identity.ca_pem)));
  v1::OpenSessionRequest request;
  request.set_public_key(key.public_key());
  request.set_claim(ledger::Encode(claim));
  request.set_signature(key.SignDsse(ledger::kSessionType, request.claim()));
  return request;
}

inline auto OpenSession(Server& server, const v1::OpenSessionRequest& request) {
  return Call(server, &v1::Coordinator::Stub::OpenSession, request);
}

// Opens an account and a session.
inline v1::OpenSessionReply Join(Server& server, v1::Role role, const ledger::SigningKey& key) {
  const auto opened = Call(server, &v1::Coordinator::Stub::Submit,
                           AccountOpen(server, server.MakeInvite(role), key));
  INFO(opened.status().ToString());
  REQUIRE(opened.ok());
  REQUIRE(opened->has_receipt());
  const auto session = OpenSession(server, Claim(server, key, SayHello(server).nonce()));
  INFO(session.status().ToString());
  REQUIRE(session.ok());
  return *session;
}

// A statement, its signature checked.
inline v1::Statement Checked(Server& server, const v1::SignedStatement& sealed) {
  const auto key = ledger::SigningKey::Load(server.home.path + "/operator.key");
  REQUIRE(ledger::VerifyDsse(key->public_key(), ledger::kStatementType, sealed.payload(),
                             sealed.signature()));
  return *ledger::Decode<v1::Statement>(sealed.payload());
}

}  // namespace crowdteach::server
