// The services of a real coordinator over real TLS, and what hostile callers try.
#include <sys/stat.h>

#include "tests/unit/server/test_server.h"

namespace crowdteach::server {

TEST_CASE("an account, a session, its account") {
  Server server;
  const auto key = ledger::SigningKey::Generate();
  const v1::OpenSessionReply session = Join(server, v1::TEACHER, key);
  REQUIRE(session.role() == v1::TEACHER);
  const auto account =
      Call(server, &v1::Coordinator::Stub::GetAccount, v1::GetAccountRequest(), session.token());
  REQUIRE(account.ok());
  REQUIRE(account->account() == session.account());
  REQUIRE(account->name() == NameOf(key));
  v1::GetReceiptRequest genesis;
  genesis.set_index(0);
  REQUIRE(Call(server, &v1::Coordinator::Stub::GetReceipt, genesis, session.token()).ok());
  genesis.set_index(1000);
  REQUIRE(absl::IsNotFound(
      Call(server, &v1::Coordinator::Stub::GetReceipt, genesis, session.token()).status()));
}

TEST_CASE("Hello tells where else the coordinator is") {
  Server server;
  const v1::HelloReply hello = SayHello(server);
  REQUIRE(hello.addresses_size() == 2);
  REQUIRE(hello.addresses(0) == "203.0.113.5:7700");
  REQUIRE(hello.addresses(1) == "[2001:db8::5]:7700");
}

TEST_CASE("the entries that concern the caller are listed, and no others") {
  Server server;
  const auto key = ledger::SigningKey::Generate();
  const v1::OpenSessionReply ada = Join(server, v1::TEACHER, key);
  const v1::OpenSessionReply bob = Join(server, v1::TEACHER, ledger::SigningKey::Generate());
  v1::IssueCreditsRequest issue;
  issue.set_to(std::to_string(ada.account()));
  issue.set_amount(7);
  issue.set_reference("test");
  const auto issued = AdminClient::Of(server.home.path)->IssueCredits(issue);
  REQUIRE(issued.ok());
  const auto list = [&](const std::string& token, uint64_t first) {
    v1::ListEntriesRequest request;
    request.set_first_index(first);
    const auto reply = Call(server, &v1::Coordinator::Stub::ListEntries, request, token);
    REQUIRE(reply.ok());
    REQUIRE(reply->next_index() == server.coordinator->log_size());
    REQUIRE_FALSE(reply->more());
    return std::vector<uint64_t>(reply->indexes().begin(), reply->indexes().end());
  };
  REQUIRE(list(ada.token(), 0) == std::vector<uint64_t>{ada.account(), issued->index()});
  REQUIRE(list(ada.token(), ada.account() + 1) == std::vector<uint64_t>{issued->index()});
  REQUIRE(list(ada.token(), 1'000'000).empty());
  REQUIRE(list(bob.token(), 0) == std::vector<uint64_t>{bob.account()});
  REQUIRE(absl::IsUnauthenticated(
      Call(server, &v1::Coordinator::Stub::ListEntries, v1::ListEntriesRequest(), "").status()));
}

TEST_CASE("Hello tells a program of another protocol who must upgrade") {
  Server server;
  v1::HelloRequest request;
  request.set_protocol_version(base::kNewestProtocol + 1);
  request.set_program("crowdteach 99.0");
  const auto newer = Call(server, &v1::Coordinator::Stub::Hello, request);
  REQUIRE(absl::IsFailedPrecondition(newer.status()));
  REQUIRE(Message(newer.status()).find("upgrade the coordinator") != std::string::npos);
  REQUIRE(Message(newer.status()).find("crowdteach 99.0") != std::string::npos);
  request.set_oldest_protocol(base::kNewestProtocol);  // it still speaks ours
  const auto both = Call(server, &v1::Coordinator::Stub::Hello, request);
  REQUIRE(both.ok());
  REQUIRE(both->protocol_version() == base::kNewestProtocol);
  REQUIRE(both->oldest_protocol() == base::kOldestProtocol);
  request.set_protocol_version(0);
  request.set_oldest_protocol(0);
  const auto older = Call(server, &v1::Coordinator::Stub::Hello, request);
  REQUIRE(Message(older.status()).find("upgrade crowdteach") != std::string::npos);
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
  issue.set_to(NameOf(key));
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
