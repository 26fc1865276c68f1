// What earlier versions left behind is still understood: see ARCHITECTURE.md, Compatibility.
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/message_differencer.h>

#include <map>

#include "client/seen_head.h"
#include "ledger/merkle.h"
#include "ledger/receipt.h"
#include "ledger/statement.h"
#include "proto/base/exit_codes.h"
#include "proto/wire/credentials.h"
#include "proto/wire/status.h"
#include "tests/recorded/raw_call.h"
#include "tests/recorded/recording.h"
#include "tests/recorded/world.h"

namespace crowdteach::testing {
namespace {

namespace fs = std::filesystem;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

std::vector<std::string> Versions() {
  std::vector<std::string> versions;
  for (const auto& item : fs::directory_iterator(kRecorded)) {
    if (item.is_directory()) versions.push_back(item.path().string());
  }
  REQUIRE_FALSE(versions.empty());
  return versions;
}

ledger::VerifierKey KeyOf(const std::string& version) {
  std::string text = Must(base::ReadFile(version + "/log.vkey", 4096));
  text.pop_back();
  return Must(ledger::ParseVkey(text));
}

// Not SigningKey::Load, which looks at the file's mode: git keeps none.
ledger::SigningKey SigningKeyAt(const std::string& path) {
  const std::string hex = Must(base::ReadFile(path, 65)).substr(0, 64);
  return Must(ledger::SigningKey::FromSeed(Must(base::ParseHex(hex))));
}

template <typename M>
M Parsed(const std::string& bytes) {
  M message;
  REQUIRE(message.ParseFromString(bytes));
  return message;
}

// Whether the fields of `recorded` are in `now` as well, with those values; `now` may have more.
void RequireStillThere(const Message& recorded, const Message& now) {
  MessageDifferencer differ;
  differ.set_scope(MessageDifferencer::PARTIAL);
  std::string differences;
  differ.ReportDifferencesToString(&differences);
  const bool same = differ.Compare(recorded, now);
  INFO(recorded.GetDescriptor()->full_name() << ": " << differences);
  REQUIRE(same);
}

// Plays the recorded requests to a coordinator and compares its replies with the recorded ones.
class Player {
 public:
  Player(const std::string& version, Server* server)
      : server_(server), channel_(wire::PinnedChannel(server->address, server->identity.ca_pem)) {
    for (const auto& item : fs::directory_iterator(version)) {
      if (item.path().extension() != ".key") continue;
      ledger::SigningKey key = SigningKeyAt(item.path().string());
      const std::string name = key.public_key();
      keys_.emplace(name, std::move(key));
    }
  }

  void Play(const Event& event) {
    if (event.kind == "clock") server_->now_ms = event.number;
    if (event.kind == ">") Request(event);
    if (event.kind == "<") Reply(event);
    if (event.kind == ".") End(event);
  }

 private:
  struct Call {
    std::string method;
    std::string nonce;  // recorded, of OpenSession
    std::unique_ptr<RawCall> raw;
  };

  void Request(const Event& event) {
    Call& call = calls_[event.number];
    if (call.raw == nullptr) {
      call.method = event.method;
      const auto token = tokens_.find(event.token);
      REQUIRE((event.token == "-" || token != tokens_.end()));
      call.raw =
          std::make_unique<RawCall>(channel_, call.method, event.token == "-" ? "" : token->second);
    }
    call.raw->Write(call.method == "OpenSession" ? SignedAnew(event.bytes) : event.bytes);
    if (call.method != "Upload") call.raw->WritesDone();
  }

  // Nonces are the coordinator's, new at each Hello; the claim of the recorded one is no good.
  std::string SignedAnew(const std::string& bytes) {
    auto request = Parsed<v1::OpenSessionRequest>(bytes);
    auto claim = Parsed<v1::SessionClaim>(request.claim());
    REQUIRE(nonces_.count(claim.nonce()) == 1);
    claim.set_nonce(nonces_[claim.nonce()]);
    const auto key = keys_.find(request.public_key());
    REQUIRE(key != keys_.end());
    request.set_claim(claim.SerializeAsString());
    request.set_signature(key->second.SignDsse(ledger::kSessionType, request.claim()));
    return request.SerializeAsString();
  }

  void Reply(const Event& event) {
    Call& call = calls_.at(event.number);
    INFO(call.method << ", call " << event.number);
    const std::optional<std::string> bytes = call.raw->Read();
    if (!bytes.has_value()) INFO(call.raw->Finish().error_message());
    REQUIRE(bytes.has_value());
    if (call.method == "Hello") return Hello(event.bytes, *bytes);
    if (call.method == "OpenSession") return Opened(event.bytes, *bytes);
    const auto* method = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
        "crowdteach.v1.Coordinator." + call.method);
    REQUIRE(method != nullptr);
    const Message* prototype =
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(method->output_type());
    const std::unique_ptr<Message> recorded(prototype->New()), now(prototype->New());
    REQUIRE(recorded->ParseFromString(event.bytes));
    REQUIRE(now->ParseFromString(*bytes));
    RequireStillThere(*recorded, *now);
  }

  void Hello(const std::string& then, const std::string& now) {
    auto recorded = Parsed<v1::HelloReply>(then);
    const auto reply = Parsed<v1::HelloReply>(now);
    nonces_[recorded.nonce()] = reply.nonce();
    REQUIRE(reply.protocol_version() >= recorded.protocol_version());
    REQUIRE(reply.oldest_protocol() <= recorded.protocol_version());
    recorded.clear_nonce();
    recorded.clear_program();
    recorded.clear_protocol_version();
    recorded.clear_oldest_protocol();
    RequireStillThere(recorded, reply);
  }

  void Opened(const std::string& then, const std::string& now) {
    auto recorded = Parsed<v1::OpenSessionReply>(then);
    const auto reply = Parsed<v1::OpenSessionReply>(now);
    tokens_[base::Hex(recorded.token())] = base::Hex(reply.token());
    recorded.clear_token();
    recorded.clear_expires_ms();  // how long a session lives is the coordinator's to say
    RequireStillThere(recorded, reply);
  }

  void End(const Event& event) {
    Call& call = calls_.at(event.number);
    INFO(call.method << ", call " << event.number);
    if (event.code == grpc::StatusCode::CANCELLED) {
      calls_.erase(event.number);  // its client had seen enough
      return;
    }
    REQUIRE(call.raw->Finish().error_code() == event.code);  // words may get better
  }

  Server* server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::map<std::string, ledger::SigningKey> keys_;
  std::map<std::string, std::string> nonces_, tokens_;
  std::map<uint64_t, Call> calls_;
};

TEST_CASE("A coordinator opens a recorded home and answers a recorded session as it was answered") {
  for (const std::string& version : Versions()) {
    INFO(version);
    const Scratch scratch;
    CopyHome(version + "/coordinator", scratch.File("coordinator"));
    const std::vector<Event> events = ReadRecording(version + "/session");
    REQUIRE(events.front().kind == "clock");
    Server server(scratch.File("coordinator"), events.front().number);
    {
      Player player(version, &server);
      for (const Event& event : events) player.Play(event);
    }
    // The round was left in its upload phase; it goes on from there.
    const uint64_t size = server.coordinator->log_size();
    server.now_ms += 3'600'000;
    for (int i = 0; i < 1000 && server.coordinator->log_size() == size; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    REQUIRE(server.coordinator->log_size() > size);
    REQUIRE(Must(server.coordinator->Export(scratch.File("export"), true)).entries > size);
  }
}

// The receipts in a reply, whatever it is.
std::vector<std::string> ReceiptsIn(const std::string& method, const std::string& bytes) {
  if (method == "Hello") return {Parsed<v1::HelloReply>(bytes).genesis_receipt()};
  if (method == "GetReceipt") return {Parsed<v1::GetReceiptReply>(bytes).receipt()};
  std::vector<std::string> receipts;
  if (method == "Submit") {
    const auto reply = Parsed<v1::SubmitReply>(bytes);
    if (reply.has_receipt()) receipts.push_back(reply.receipt());
  } else if (method == "ListCampaigns") {
    const auto reply = Parsed<v1::ListCampaignsReply>(bytes);
    for (const auto& item : reply.campaigns()) {
      receipts.push_back(item.receipt());
    }
  } else if (method == "Attend") {
    const auto notice = Parsed<v1::Notice>(bytes);
    receipts.assign(notice.receipts().begin(), notice.receipts().end());
  }
  return receipts;
}

TEST_CASE(
    "A client verifies recorded replies: receipts, heads that continue each other, refusals") {
  for (const std::string& version : Versions()) {
    INFO(version);
    const ledger::VerifierKey log = KeyOf(version);
    std::map<uint64_t, Event> requests;
    std::map<std::pair<uint64_t, uint64_t>, std::vector<base::Hash>> proofs;
    std::vector<std::pair<ledger::Checkpoint, std::string>> heads;
    v1::Genesis genesis;
    base::Hash genesis_hash{};
    int receipts = 0, refusals = 0;
    for (const Event& event : ReadRecording(version + "/session")) {
      if (event.kind == ">") requests[event.number] = event;
      if (event.kind != "<") continue;
      const Event& request = requests.at(event.number);
      for (const std::string& receipt : ReceiptsIn(request.method, event.bytes)) {
        const auto verified = Must(ledger::VerifyReceipt(receipt, log));
        if (verified.entry.intent.has_genesis_body()) {
          genesis = verified.entry.intent.genesis_body();
          genesis_hash = verified.entry.leaf;
        }
        heads.emplace_back(verified.checkpoint, Must(ledger::ParseReceipt(receipt)).checkpoint);
        ++receipts;
      }
      if (request.method == "GetConsistency") {
        const auto asked = Parsed<v1::GetConsistencyRequest>(request.bytes);
        auto& proof = proofs[{asked.old_size(), asked.size()}];
        proof.clear();
        const auto reply = Parsed<v1::GetConsistencyReply>(event.bytes);
        for (const std::string& hash : reply.proof()) {
          proof.push_back(Must(base::HashFromBytes(hash)));
        }
      }
      if (request.method != "Submit") continue;
      const auto reply = Parsed<v1::SubmitReply>(event.bytes);
      if (!reply.has_refusal()) continue;
      Must(ledger::OpenStatement(reply.refusal(), genesis.operator_key(), genesis_hash));
      ++refusals;
    }
    REQUIRE(receipts > 10);
    REQUIRE(refusals > 0);
    REQUIRE_FALSE(proofs.empty());
    // Every proof that was asked for is of two heads that were shown.
    for (const auto& [sizes, proof] : proofs) {
      const auto head = [&heads](uint64_t size) {
        const auto found = std::find_if(heads.begin(), heads.end(), [size](const auto& item) {
          return item.first.size == size;
        });
        REQUIRE(found != heads.end());
        return found->first;
      };
      const ledger::Checkpoint newer = head(sizes.second);
      const auto known = std::find_if(heads.begin(), heads.end(), [&](const auto& item) {
        return item.first.size == sizes.first;
      });
      if (known == heads.end()) continue;  // seen in an earlier session
      Must(ledger::VerifyConsistency(sizes.first, known->first.root, sizes.second, newer.root,
                                     proof));
    }
  }
}

TEST_CASE("A recorded home of a person, and its invite, are read") {
  for (const std::string& version : Versions()) {
    INFO(version);
    const ledger::VerifierKey log = KeyOf(version);
    const wire::Invite invite = Must(wire::ParseInvite(
        Must(base::ReadFile(version + "/teacher.invite", wire::kMaxInviteBytes)), "invite"));
    REQUIRE(invite.role == v1::TEACHER);
    REQUIRE(ledger::FormatVkey(log) == invite.log_vkey);

    const Scratch scratch;
    CopyHome(version + "/client", scratch.File("home"));
    const auto home = Must(client::Home::Open(scratch.File("home")));
    REQUIRE(home->key().public_key() == SigningKeyAt(version + "/dave.key").public_key());
    const wire::Invite kept = Must(wire::ParseInvite(Must(home->LoadInvite()), "invite.toml"));
    REQUIRE(kept.log_vkey == invite.log_vkey);
    Must(client::SeenHead::Load(home.get(), log));
    REQUIRE_FALSE(Must(home->LoadPending()).has_value());

    // The update that it committed to and had not revealed.
    const auto campaigns = [&] {
      std::vector<uint64_t> found;
      for (const auto& item : fs::directory_iterator(scratch.File("home/rounds"))) {
        found.push_back(std::stoull(item.path().filename().string()));
      }
      return found;
    }();
    REQUIRE(campaigns.size() == 1);
    const auto prepared = Must(home->LoadRound(campaigns[0], 1));
    REQUIRE(prepared.has_value());
    REQUIRE(home->blobs().Exists(prepared->update));

    int receipts = 0, refusals = 0;
    for (const auto& item : fs::directory_iterator(scratch.File("home/receipts"))) {
      Must(ledger::VerifyReceipt(Must(base::ReadFile(item.path().string(), 1 << 18)), log));
      ++receipts;
    }
    for (const auto& item : fs::directory_iterator(scratch.File("home/statements"))) {
      refusals += item.path().extension() == ".intent-refused";
    }
    REQUIRE(receipts >= 4);  // GENESIS, ACCOUNT_OPEN, ENROL, UPDATE_COMMIT
    REQUIRE(refusals == 1);
  }
}

}  // namespace
}  // namespace crowdteach::testing
