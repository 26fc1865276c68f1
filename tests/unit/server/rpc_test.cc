// The services of a real coordinator over real TLS on 127.0.0.1, and what hostile callers try.
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "crowdteach/v1/coordinator.grpc.pb.h"
#include "ledger/canonical.h"
#include "ledger/entry.h"
#include "ledger/signature.h"
#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"
#include "proto/wire/credentials.h"
#include "proto/wire/invite.h"
#include "proto/wire/status.h"
#include "server/coordinator.h"
#include "server/rpc/admin_client.h"
#include "server/rpc/rpc_server.h"
#include "tests/support/catch.h"

namespace crowdteach::server {
namespace {

uint64_t WallClockMs() {
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
    auto listening = RpcServer::Listen(coordinator.get(), identity,
                                       {{"127.0.0.1", 0}, [this] { return now_ms.load(); }});
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

v1::HelloReply SayHello(Server& server) {
  v1::HelloRequest request;
  request.set_protocol_version(wire::kProtocolVersion);
  const auto reply = Call(server, &v1::Coordinator::Stub::Hello, request);
  REQUIRE(reply.ok());
  return *reply;
}

v1::SubmitRequest AccountOpen(Server& server, const wire::Invite& invite,
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
  intent.mutable_account_open()->set_name("ada");
  intent.mutable_account_open()->set_token_signature(
      token->SignDsse(ledger::kTokenType, ledger::Encode(claim)));
  v1::SubmitRequest request;
  *request.mutable_intent() = ledger::SignIntent(intent, key);
  return request;
}

v1::OpenSessionRequest Claim(Server& server, const ledger::SigningKey& key,
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

auto OpenSession(Server& server, const v1::OpenSessionRequest& request) {
  return Call(server, &v1::Coordinator::Stub::OpenSession, request);
}

// Opens an account and a session.
v1::OpenSessionReply Join(Server& server, v1::Role role, const ledger::SigningKey& key) {
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
v1::Statement Checked(Server& server, const v1::SignedStatement& sealed) {
  const auto key = ledger::SigningKey::Load(server.home.path + "/operator.key");
  REQUIRE(ledger::VerifyDsse(key->public_key(), ledger::kStatementType, sealed.payload(),
                             sealed.signature()));
  return *ledger::Decode<v1::Statement>(sealed.payload());
}

struct Blob {
  explicit Blob(size_t size) : bytes(size, '\0') {
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
    digest = base::Bytes(base::BlobDigest(base::BlobKind::kWeights, bytes));
  }
  std::string Chunk(uint64_t index) const {
    return bytes.substr(index * base::kChunkBytes, base::kChunkBytes);
  }
  v1::UploadHead Head(uint64_t first_chunk) const {
    v1::UploadHead head;
    head.set_kind(v1::WEIGHTS);
    head.set_digest(digest);
    head.set_size_bytes(bytes.size());
    head.set_first_chunk(first_chunk);
    return head;
  }
  std::string bytes;
  std::string digest;
};

struct UploadPlan {
  v1::UploadHead head;
  std::vector<std::string> payloads;
  bool break_off = false;  // the client vanishes instead of ending the stream
};

StatusOr<v1::Statement> Upload(Server& server, const std::string& token, const UploadPlan& plan) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  context.AddMetadata("authorization", "Bearer " + base::Hex(token));
  v1::UploadReply reply;
  const auto writer = server.stub->Upload(&context, &reply);
  v1::UploadPart part;
  *part.mutable_head() = plan.head;
  bool open = writer->Write(part);
  for (const std::string& payload : plan.payloads) {
    part.Clear();
    part.set_payload(payload);
    open = open && writer->Write(part);
  }
  if (plan.break_off) {
    context.TryCancel();
  } else {
    writer->WritesDone();
  }
  const Status status = wire::FromGrpc(writer->Finish());
  if (!status.ok()) return status;
  return Checked(server, reply.statement());
}

StatusOr<v1::GetUploadReply> GetUpload(Server& server, const std::string& token, const Blob& blob) {
  v1::GetUploadRequest request;
  *request.mutable_head() = blob.Head(0);
  return Call(server, &v1::Coordinator::Stub::GetUpload, request, token);
}

}  // namespace

TEST_CASE("an account, a session, its account") {
  Server server;
  const auto key = ledger::SigningKey::Generate();
  const v1::OpenSessionReply session = Join(server, v1::TEACHER, key);
  REQUIRE(session.role() == v1::TEACHER);
  const auto account =
      Call(server, &v1::Coordinator::Stub::GetAccount, v1::GetAccountRequest(), session.token());
  REQUIRE(account.ok());
  REQUIRE(account->account() == session.account());
  REQUIRE(account->name() == "ada");
  v1::GetReceiptRequest genesis;
  genesis.set_index(0);
  REQUIRE(Call(server, &v1::Coordinator::Stub::GetReceipt, genesis, session.token()).ok());
  genesis.set_index(1000);
  REQUIRE(absl::IsNotFound(
      Call(server, &v1::Coordinator::Stub::GetReceipt, genesis, session.token()).status()));
}

TEST_CASE("Hello tells a program of another protocol who must upgrade") {
  Server server;
  v1::HelloRequest request;
  request.set_protocol_version(wire::kProtocolVersion + 1);
  const auto newer = Call(server, &v1::Coordinator::Stub::Hello, request);
  REQUIRE(absl::IsFailedPrecondition(newer.status()));
  REQUIRE(Message(newer.status()).find("upgrade the coordinator") != std::string::npos);
  request.set_protocol_version(0);
  const auto older = Call(server, &v1::Coordinator::Stub::Hello, request);
  REQUIRE(Message(older.status()).find("upgrade your program") != std::string::npos);
}

TEST_CASE("a session is opened by its key, with a fresh nonce, for this coordinator, only") {
  Server server;
  const auto key = ledger::SigningKey::Generate();
  Join(server, v1::TEACHER, key);

  const v1::OpenSessionRequest good = Claim(server, key, SayHello(server).nonce());
  REQUIRE(OpenSession(server, good).ok());
  REQUIRE(absl::IsUnauthenticated(OpenSession(server, good).status()));  // replayed

  v1::OpenSessionRequest forged =
      Claim(server, ledger::SigningKey::Generate(), SayHello(server).nonce());
  forged.set_public_key(key.public_key());
  REQUIRE(absl::IsUnauthenticated(OpenSession(server, forged).status()));

  const auto stranger =
      OpenSession(server, Claim(server, ledger::SigningKey::Generate(), SayHello(server).nonce()));
  REQUIRE(absl::IsNotFound(stranger.status()));
  REQUIRE(Message(stranger.status()).find("invite") != std::string::npos);

  const v1::OpenSessionRequest late = Claim(server, key, SayHello(server).nonce());
  server.now_ms += 61'000;
  REQUIRE(absl::IsUnauthenticated(OpenSession(server, late).status()));

  // The same person's claim towards somebody in the middle with another CA, passed on.
  v1::SessionClaim claim;
  REQUIRE(claim.ParseFromString(Claim(server, key, SayHello(server).nonce()).claim()));
  claim.set_ca_digest(std::string(32, 'm'));
  v1::OpenSessionRequest passed_on;
  passed_on.set_public_key(key.public_key());
  passed_on.set_claim(ledger::Encode(claim));
  passed_on.set_signature(key.SignDsse(ledger::kSessionType, passed_on.claim()));
  REQUIRE(absl::IsUnauthenticated(OpenSession(server, passed_on).status()));
}

TEST_CASE("unknown, malformed and expired tokens are refused") {
  Server server;
  const auto key = ledger::SigningKey::Generate();
  const std::string token = Join(server, v1::TEACHER, key).token();
  const auto get = [&](const std::string& bearer) {
    return Call(server, &v1::Coordinator::Stub::GetAccount, v1::GetAccountRequest(), bearer)
        .status();
  };
  REQUIRE(get(token).ok());
  REQUIRE(absl::IsUnauthenticated(get("")));
  REQUIRE(absl::IsUnauthenticated(get(std::string(32, 'x'))));
  REQUIRE(absl::IsUnauthenticated(get(token + "x")));
  server.now_ms += uint64_t{12} * 3'600'000;
  REQUIRE(absl::IsUnauthenticated(get(token)));
}

TEST_CASE("a refused intent is answered with a signed statement") {
  Server server;
  wire::Invite invite = server.MakeInvite(v1::TEACHER);
  invite.token_seed = std::string(32, 'n');  // not the token's
  const auto key = ledger::SigningKey::Generate();
  const v1::SubmitRequest request = AccountOpen(server, invite, key);
  const auto reply = Call(server, &v1::Coordinator::Stub::Submit, request);
  INFO(reply.status().ToString());
  REQUIRE(reply.ok());
  REQUIRE(reply->has_refusal());
  const v1::Statement statement = Checked(server, reply->refusal());
  REQUIRE(statement.kind() == v1::INTENT_REFUSED);
  REQUIRE(statement.subject() == base::Bytes(base::Sha256Of(request.intent().payload())));
  REQUIRE_FALSE(statement.reason().empty());
}

TEST_CASE("intents that are too long, not intents, or another's are not taken") {
  Server server;
  const auto key = ledger::SigningKey::Generate();
  const v1::OpenSessionReply session = Join(server, v1::TEACHER, key);
  const uint64_t size = server.coordinator->log_size();
  v1::SubmitRequest request;
  request.mutable_intent()->set_signature(std::string(64, 's'));
  request.mutable_intent()->set_payload(std::string(100'000, 'x'));
  const auto submit = [&](const std::string& token) {
    return Call(server, &v1::Coordinator::Stub::Submit, request, token).status();
  };
  REQUIRE(absl::IsInvalidArgument(submit(session.token())));
  request.mutable_intent()->set_payload(std::string(3 << 20, 'x'));
  REQUIRE(absl::IsResourceExhausted(submit(session.token())));  // gRPC's own bound
  request.mutable_intent()->set_payload("nonsense");
  REQUIRE(absl::IsInvalidArgument(submit(session.token())));
  v1::Intent intent;
  intent.set_genesis(base::Bytes(server.coordinator->genesis_hash()));
  intent.set_account(session.account() + 1);
  intent.set_sequence(1);
  intent.set_not_after_ms(server.now_ms + 60'000);
  intent.mutable_enrol()->set_campaign(5);
  intent.mutable_enrol()->set_examples(1);
  *request.mutable_intent() = ledger::SignIntent(intent, key);
  REQUIRE(absl::IsPermissionDenied(submit(session.token())));
  REQUIRE(absl::IsUnauthenticated(submit("")));
  REQUIRE(server.coordinator->log_size() == size);
}

TEST_CASE("an upload goes on where it broke off") {
  Server server;
  const std::string token = Join(server, v1::OWNER, ledger::SigningKey::Generate()).token();
  const Blob blob(3 * base::kChunkBytes + 17);
  REQUIRE(GetUpload(server, token, blob)->chunks() == 0);
  REQUIRE_FALSE(Upload(server, token, {blob.Head(0), {blob.Chunk(0), blob.Chunk(1)}, true}).ok());
  // The coordinator may still be at what was sent before the break; how much arrived is its to say.
  auto state = GetUpload(server, token, blob);
  for (int i = 0; i < 200 && !state.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    state = GetUpload(server, token, blob);
  }
  INFO(state.status().ToString());
  REQUIRE(state.ok());
  REQUIRE(state->chunks() <= 2);
  const auto wrong = Upload(server, token, {blob.Head(state->chunks() + 1), {}});
  REQUIRE(absl::IsFailedPrecondition(wrong.status()));
  UploadPlan rest{blob.Head(state->chunks()), {}};
  for (uint64_t i = state->chunks(); i < 4; ++i) rest.payloads.push_back(blob.Chunk(i));
  const auto statement = Upload(server, token, rest);
  INFO(statement.status().ToString());
  REQUIRE(statement.ok());
  REQUIRE(statement->kind() == v1::UPLOAD_COMPLETE);
  REQUIRE(statement->subject() == blob.digest);
  REQUIRE(server.coordinator->artifacts().Exists(*base::HashFromBytes(blob.digest)));
  REQUIRE(GetUpload(server, token, blob)->complete());
  REQUIRE(Upload(server, token, {blob.Head(0), {}})->kind() == v1::UPLOAD_COMPLETE);  // once more
}

TEST_CASE("bytes that are not the blob announced are refused with a signed statement") {
  Server server;
  const std::string token = Join(server, v1::OWNER, ledger::SigningKey::Generate()).token();
  const Blob blob(base::kChunkBytes + 5);
  const auto refused = [&](std::vector<std::string> payloads) {
    const auto state = GetUpload(server, token, blob);
    REQUIRE(state.ok());
    payloads.erase(payloads.begin(), payloads.begin() + static_cast<ptrdiff_t>(state->chunks()));
    const auto statement = Upload(server, token, {blob.Head(state->chunks()), payloads});
    INFO(statement.status().ToString());
    REQUIRE(statement.ok());
    REQUIRE(statement->kind() == v1::UPLOAD_REFUSED);
    REQUIRE_FALSE(statement->reason().empty());
  };
  refused({blob.Chunk(0).substr(1)});      // a chunk too short
  refused({blob.Chunk(0)});                // ends too early
  refused({blob.Chunk(0), "12345", "6"});  // too long, and not its bytes
  refused({blob.Chunk(0), "12345"});       // wrong digest
  REQUIRE_FALSE(server.coordinator->artifacts().Exists(*base::HashFromBytes(blob.digest)));
  REQUIRE(GetUpload(server, token, blob)->chunks() == 0);  // begins again
}

TEST_CASE("who may not upload or read is told so") {
  Server server;
  const std::string owner = Join(server, v1::OWNER, ledger::SigningKey::Generate()).token();
  const std::string teacher = Join(server, v1::TEACHER, ledger::SigningKey::Generate()).token();
  const Blob blob(100);
  REQUIRE(Upload(server, teacher, {blob.Head(0), {blob.bytes}})->kind() == v1::UPLOAD_REFUSED);
  REQUIRE(absl::IsPermissionDenied(GetUpload(server, teacher, blob).status()));
  REQUIRE(Upload(server, owner, {blob.Head(0), {blob.bytes}})->kind() == v1::UPLOAD_COMPLETE);
  const auto download = [&](const std::string& token) {
    grpc::ClientContext context;
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + base::Hex(token));
    v1::DownloadRequest request;
    request.set_kind(v1::WEIGHTS);
    request.set_digest(blob.digest);
    const auto reader = server.stub->Download(&context, request);
    v1::Chunk chunk;
    REQUIRE_FALSE(reader->Read(&chunk));
    return wire::FromGrpc(reader->Finish());
  };
  REQUIRE(absl::IsNotFound(download(teacher)));  // no campaign names it
  REQUIRE(absl::IsUnauthenticated(download("")));
}

TEST_CASE("streams of an unknown campaign end with the reason") {
  Server server;
  const std::string token = Join(server, v1::TEACHER, ledger::SigningKey::Generate()).token();
  grpc::ClientContext attend_context;
  attend_context.AddMetadata("authorization", "Bearer " + base::Hex(token));
  v1::AttendRequest attend;
  attend.set_campaign(99);
  const auto notices = server.stub->Attend(&attend_context, attend);
  v1::Notice notice;
  REQUIRE_FALSE(notices->Read(&notice));
  REQUIRE(absl::IsNotFound(wire::FromGrpc(notices->Finish())));
  grpc::ClientContext watch_context;
  const auto views = server.stub->Watch(&watch_context, v1::WatchRequest());
  v1::CampaignView view;
  REQUIRE_FALSE(views->Read(&view));
  REQUIRE(absl::IsUnauthenticated(wire::FromGrpc(views->Finish())));
}

TEST_CASE("the operator's socket is the operator's, and its commands work") {
  Server server;
  struct stat info = {};
  REQUIRE(stat((server.home.path + "/admin.sock").c_str(), &info) == 0);
  REQUIRE((info.st_mode & 0777) == 0600);
  const auto key = ledger::SigningKey::Generate();
  const v1::OpenSessionReply session = Join(server, v1::OWNER, key);
  const auto admin = AdminClient::Of(server.home.path);
  v1::IssueCreditsRequest issue;
  issue.set_to("ada");
  issue.set_amount(1000);
  const auto issued = admin->IssueCredits(issue);
  INFO(issued.status().ToString());
  REQUIRE(issued.ok());
  REQUIRE(issued->account() == session.account());
  REQUIRE(issued->available() == 1000);
  issue.set_to("nobody");
  REQUIRE(ExitCodeOf(admin->IssueCredits(issue).status()) == kExitRefused);
  v1::ExportRequest request;
  request.set_directory(server.home.path + "/export");
  const auto exported = admin->Export(request);
  INFO(exported.status().ToString());
  REQUIRE(exported.ok());
  REQUIRE(exported->entries() == server.coordinator->log_size());
  REQUIRE(std::filesystem::exists(server.home.path + "/export/log.bundle"));
  const auto status = admin->GetStatus();
  REQUIRE(status->log_size() == server.coordinator->log_size());
  REQUIRE(status->sessions() == 1);
}

TEST_CASE("commands without a coordinator say how to start one") {
  const Home home;
  const auto status = AdminClient::Of(home.path)->GetStatus();
  REQUIRE(ExitCodeOf(status.status()) == kExitUnreachable);
  REQUIRE(Message(status.status()).find("crowdteachd serve") != std::string::npos);
  REQUIRE(absl::IsInvalidArgument(AdminClient::Of("/" + std::string(200, 'x')).status()));
}

}  // namespace crowdteach::server
