#include "ledger/audit/fetch_session.h"

#include <chrono>
#include <utility>

#include "ledger/canonical.h"
#include "ledger/entry.h"
#include "ledger/receipt.h"
#include "ledger/signature.h"
#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"
#include "proto/base/protocol.h"
#include "proto/base/utc_time.h"

namespace crowdteach::audit {
namespace {

constexpr char kProgram[] = "crowdteach-audit " CROWDTEACH_VERSION;
constexpr uint64_t kMaxClockSkewMs = 86'400'000;
constexpr uint64_t kNotAfterMs = 600'000;

Status StatusOf(const ledger::HttpAnswer& answer, const std::string& url) {
  const std::string what =
      fmt::format("{}: the coordinator answers {}: {}", url, answer.code, answer.text);
  switch (answer.code) {
    case 401:
      return FromPeer(Unauthenticated("{}", what));
    case 404:
      return FromPeer(NotFound("{}", what));
    case 429:
    case 503:
      return FromPeer(Unavailable("{}", what));
    default:
      return FromPeer(FailedPrecondition("{}", what));
  }
}

template <typename Reply>
StatusOr<Reply> Ask(ledger::HttpsClient* client, const std::string& path,
                    const google::protobuf::MessageLite& message) {
  ledger::HttpRequest request;
  request.path = path;
  request.body = message.SerializeAsString();
  std::string bytes;
  CT_ASSIGN_OR_RETURN(const ledger::HttpAnswer answer,
                      client->Send(request, [&](std::string_view piece) {
                        bytes += piece;
                        return OkStatus();
                      }));
  if (answer.code != 200) return StatusOf(answer, client->url(path));
  Reply reply;
  if (reply.ParseFromString(bytes)) return reply;
  return FromPeer(
      FailedPrecondition("{}: the answer is not what this port says", client->url(path)));
}

// What is signed is good until ten minutes after the log's time, so a log in the future would get a
// signature that stays good for as long.
Status CheckClock(uint64_t log_time_ms) {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  const auto now_ms = static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
  if (log_time_ms <= now_ms + kMaxClockSkewMs && now_ms <= log_time_ms + kMaxClockSkewMs) {
    return OkStatus();
  }
  return FailedPrecondition(
      "the coordinator's clock says {}, this machine's {}: more than a day apart; set the one that "
      "is wrong",
      base::UtcTime(log_time_ms), base::UtcTime(now_ms));
}

}  // namespace

StatusOr<v1::HelloReply> FetchSession::Hello() {
  v1::HelloRequest request;
  request.set_protocol_version(base::kNewestProtocol);
  request.set_oldest_protocol(base::kOldestProtocol);
  request.set_program(kProgram);
  auto reply = Ask<v1::HelloReply>(parties_.client, "/hello", request);
  if (!absl::IsNotFound(reply.status())) return reply;
  return FromPeer(FailedPrecondition(
      "{}: this coordinator is older than crowdteach-audit and opens no sessions here; ask its "
      "operator to upgrade it, or to export with --artifacts",
      parties_.client->url("")));
}

Status FetchSession::OpenWith(const std::string& nonce) {
  const ledger::SigningKey& key = parties_.home->key();
  v1::SessionClaim claim;
  claim.set_genesis(base::Bytes(parties_.genesis_hash));
  claim.set_nonce(nonce);
  claim.set_ca_digest(base::Bytes(parties_.ca_digest));
  v1::OpenSessionRequest request;
  request.set_public_key(key.public_key());
  request.set_claim(ledger::Encode(claim));
  request.set_signature(key.SignDsse(ledger::kSessionType, request.claim()));
  CT_ASSIGN_OR_RETURN(const auto reply,
                      Ask<v1::OpenSessionReply>(parties_.client, "/session", request));
  token_ = base::Hex(reply.token());
  account_ = reply.account();
  role_ = reply.role();
  return OkStatus();
}

Status FetchSession::OpenAccount(uint64_t log_time_ms) {
  CT_RETURN_IF_ERROR(CheckClock(log_time_ms));
  CT_ASSIGN_OR_RETURN(const auto token, ledger::SigningKey::FromSeed(offer_->token_seed));
  const ledger::SigningKey& key = parties_.home->key();
  v1::TokenClaim claim;
  claim.set_genesis(base::Bytes(parties_.genesis_hash));
  claim.set_key(key.public_key());
  v1::Intent intent;
  intent.set_genesis(claim.genesis());
  intent.set_not_after_ms(log_time_ms + kNotAfterMs);
  v1::AccountOpen* open = intent.mutable_account_open();
  open->set_key(key.public_key());
  open->set_invite(offer_->invite);
  open->set_token_signature(token.SignDsse(ledger::kTokenType, ledger::Encode(claim)));
  open->set_name(offer_->name);
  v1::SubmitRequest request;
  *request.mutable_intent() = ledger::SignIntent(intent, key);
  CT_ASSIGN_OR_RETURN(const auto reply, Ask<v1::SubmitReply>(parties_.client, "/submit", request));
  if (reply.has_refusal()) {
    v1::Statement statement;  // only to be told; its signature proves nothing we need
    statement.ParseFromString(reply.refusal().payload());
    return FromPeer(FailedPrecondition("the coordinator refuses to open an account: {}",
                                       ledger::PrintableLine(statement.reason())));
  }
  const auto logged = ledger::VerifyReceipt(reply.receipt(), parties_.log);
  if (!logged.ok()) return DataLoss("the receipt of the account: {}", Message(logged.status()));
  if (logged->entry.entry.intent().payload() != request.intent().payload()) {
    return DataLoss("the receipt of the account is for something else");
  }
  opened_entry_ = logged->entry.entry.index();
  receipt_ = reply.receipt();
  return OkStatus();
}

Status FetchSession::Open() {
  CT_ASSIGN_OR_RETURN(const v1::HelloReply hello, Hello());
  const Status opened = OpenWith(hello.nonce());
  if (!absl::IsNotFound(opened) || !offer_) return opened;
  CT_RETURN_IF_ERROR(OpenAccount(hello.log_time_ms()));
  CT_ASSIGN_OR_RETURN(const v1::HelloReply again, Hello());
  return OpenWith(again.nonce());
}

}  // namespace crowdteach::audit
