#include "client/grpc_session.h"

#include <algorithm>
#include <utility>

#include "ledger/canonical.h"
#include "ledger/checkpoint.h"
#include "ledger/receipt.h"
#include "ledger/state.h"
#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"
#include "proto/wire/certificates.h"
#include "proto/wire/credentials.h"
#include "proto/wire/retry.h"
#include "proto/wire/status.h"

namespace crowdteach::client {
namespace {

using wire::FromGrpc;

constexpr char kProgram[] = "crowdteach 0.1.0";
constexpr uint64_t kNotAfterMs = 600'000;  // an intent is good for ten minutes of log time
// Opening a campaign waits for the coordinator to evaluate the model.
constexpr int kSubmitTimeoutS = 600;

}  // namespace

void GrpcSession::Authorize(grpc::ClientContext* context) const {
  if (!token_.empty()) context->AddMetadata("authorization", "Bearer " + base::Hex(token_));
}

Status GrpcSession::NoteHead(const std::string& note, const ledger::Checkpoint& head) {
  if (head.size == seen_size_ && head.root != seen_root_) {
    return DataLoss(
        "the coordinator shows two different logs of {} entries: a fork. Keep {} and "
        "tell an auditor",
        head.size, home_->path() + "/head");
  }
  if (head.size <= seen_size_) return OkStatus();
  CT_RETURN_IF_ERROR(home_->SaveHead(note));
  seen_size_ = head.size;
  seen_root_ = head.root;
  return OkStatus();
}

StatusOr<ledger::VerifiedReceipt> GrpcSession::OpenReceipt(const std::string& receipt) const {
  StatusOr<ledger::VerifiedReceipt> opened = ledger::VerifyReceipt(receipt, log_key_);
  if (opened.ok()) return opened;
  return DataLoss("the coordinator shows what is not of the log {} that the invite names: {}",
                  log_key_.name, Message(opened.status()));
}

Status GrpcSession::Hello() {
  CT_ASSIGN_OR_RETURN(const std::string known, home_->LoadHead());
  if (!known.empty()) {
    CT_ASSIGN_OR_RETURN(const ledger::Checkpoint head, ledger::OpenCheckpoint(known, log_key_));
    seen_size_ = head.size;
    seen_root_ = head.root;
  }
  v1::HelloRequest request;
  request.set_protocol_version(wire::kProtocolVersion);
  request.set_program(kProgram);
  v1::HelloReply reply;
  grpc::ClientContext context;
  SetTimeout(&context, kCallTimeoutS);
  CT_RETURN_IF_ERROR(FromGrpc(stub_->Hello(&context, request, &reply)));
  CT_ASSIGN_OR_RETURN(const ledger::VerifiedReceipt genesis, OpenReceipt(reply.genesis_receipt()));
  if (!genesis.entry.intent.has_genesis_body()) {
    return DataLoss("the coordinator's entry 0 is not a GENESIS");
  }
  genesis_hash_ = genesis.entry.leaf;
  genesis_ = genesis.entry.intent.genesis_body();
  nonce_ = reply.nonce();
  log_time_ms_ = reply.log_time_ms();
  if (genesis.checkpoint.size < seen_size_) {
    return DataLoss(
        "the log has {} entries but had {} before: it was rolled back. Keep {} as "
        "evidence and tell an auditor",
        genesis.checkpoint.size, seen_size_, home_->path() + "/head");
  }
  CT_ASSIGN_OR_RETURN(const ledger::ReceiptParts parts,
                      ledger::ParseReceipt(reply.genesis_receipt()));
  return NoteHead(parts.checkpoint, genesis.checkpoint);
}

Status GrpcSession::OpenSession() {
  CT_ASSIGN_OR_RETURN(const base::Hash ca_digest, wire::CaDigest(ca_pem_));
  v1::SessionClaim claim;
  claim.set_genesis(base::Bytes(genesis_hash_));
  claim.set_nonce(nonce_);
  claim.set_ca_digest(base::Bytes(ca_digest));
  v1::OpenSessionRequest request;
  request.set_public_key(home_->key().public_key());
  request.set_claim(ledger::Encode(claim));
  request.set_signature(home_->key().SignDsse(ledger::kSessionType, request.claim()));
  v1::OpenSessionReply reply;
  grpc::ClientContext context;
  SetTimeout(&context, kCallTimeoutS);
  const Status opened = FromGrpc(stub_->OpenSession(&context, request, &reply));
  if (absl::IsNotFound(opened)) return OkStatus();  // no account yet
  CT_RETURN_IF_ERROR(opened);
  token_ = reply.token();
  account_ = reply.account();
  role_ = reply.role();
  next_sequence_ = reply.next_sequence();
  log_time_ms_ = std::max(log_time_ms_, reply.log_time_ms());
  return OkStatus();
}

Status GrpcSession::Open(const std::string& address) {
  stub_ = v1::Coordinator::NewStub(wire::PinnedChannel(address, ca_pem_));
  CT_RETURN_IF_ERROR(Hello());
  CT_RETURN_IF_ERROR(OpenSession());
  if (account_ == 0) return OkStatus();
  return SettlePending();
}

StatusOr<v1::Statement> GrpcSession::OpenStatement(const v1::SignedStatement& sealed) const {
  if (!ledger::VerifyDsse(genesis_.operator_key(), ledger::kStatementType, sealed.payload(),
                          sealed.signature())) {
    return DataLoss("the coordinator's statement is not signed by the log's operator");
  }
  CT_ASSIGN_OR_RETURN(v1::Statement statement, ledger::Decode<v1::Statement>(sealed.payload()));
  if (statement.genesis() != base::View(genesis_hash_)) {
    return DataLoss("the coordinator's statement is about another log");
  }
  return statement;
}

Status GrpcSession::ReadRefusal(const v1::SignedStatement& refusal,
                                const v1::SignedIntent& sealed) const {
  CT_ASSIGN_OR_RETURN(const v1::Statement statement, OpenStatement(refusal));
  if (statement.kind() != v1::INTENT_REFUSED ||
      statement.subject() != base::View(base::Sha256Of(sealed.payload()))) {
    return DataLoss("the coordinator's refusal is about something else");
  }
  return FromPeer(FailedPrecondition("{}", statement.reason()));
}

Status GrpcSession::CheckOperator(const ledger::LoggedEntry& logged) const {
  const v1::Intent& intent = logged.intent;
  if (intent.has_account_open() || intent.account() != 0) return OkStatus();
  const v1::SignedIntent& sealed = logged.entry.intent();
  if (ledger::VerifyDsse(genesis_.operator_key(), ledger::kIntentType, sealed.payload(),
                         sealed.signature())) {
    return OkStatus();
  }
  return DataLoss("entry {} is not signed by the log's operator", logged.entry.index());
}

StatusOr<VerifiedEntry> GrpcSession::Verify(const std::string& receipt) {
  CT_ASSIGN_OR_RETURN(ledger::VerifiedReceipt verified, OpenReceipt(receipt));
  CT_ASSIGN_OR_RETURN(const ledger::ReceiptParts parts, ledger::ParseReceipt(receipt));
  CT_RETURN_IF_ERROR(NoteHead(parts.checkpoint, verified.checkpoint));
  CT_RETURN_IF_ERROR(CheckOperator(verified.entry));
  return VerifiedEntry{std::move(verified.entry), receipt};
}

StatusOr<VerifiedEntry> GrpcSession::Send(const v1::SignedIntent& sealed) {
  v1::SubmitRequest request;
  *request.mutable_intent() = sealed;
  v1::SubmitReply reply;
  grpc::ClientContext context;
  SetTimeout(&context, kSubmitTimeoutS);
  Authorize(&context);
  CT_RETURN_IF_ERROR(FromGrpc(stub_->Submit(&context, request, &reply)));
  log_time_ms_ = std::max(log_time_ms_, reply.log_time_ms());
  if (reply.next_sequence() != 0) next_sequence_ = reply.next_sequence();
  if (reply.has_refusal()) {
    const Status refusal = ReadRefusal(reply.refusal(), sealed);
    if (!absl::IsDataLoss(refusal)) CT_RETURN_IF_ERROR(home_->SavePending(std::nullopt));
    return refusal;
  }
  CT_ASSIGN_OR_RETURN(VerifiedEntry entry, Verify(reply.receipt()));
  if (entry.logged.entry.intent().payload() != sealed.payload()) {
    return DataLoss("the coordinator's receipt is for another intent than the one sent");
  }
  next_sequence_ = std::max(next_sequence_, entry.logged.intent.sequence() + 1);
  CT_RETURN_IF_ERROR(home_->SaveReceipt(entry.logged.entry.index(), entry.receipt));
  CT_RETURN_IF_ERROR(home_->SavePending(std::nullopt));
  return entry;
}

Status GrpcSession::SettlePending() {
  CT_ASSIGN_OR_RETURN(const std::optional<v1::SignedIntent> pending, home_->LoadPending());
  if (!pending.has_value()) return OkStatus();
  CT_ASSIGN_OR_RETURN(const v1::Intent intent, ledger::DecodeIntent(pending->payload()));
  if (intent.genesis() != base::View(genesis_hash_)) return home_->SavePending(std::nullopt);
  // The same bytes again: logged already, logged now, or refused with a signed reason.
  const Status sent = Send(*pending).status();
  if (sent.ok() || absl::IsFailedPrecondition(sent)) return OkStatus();
  return sent;
}

Status GrpcSession::Register(const ledger::SigningKey& token, uint64_t invite_index,
                             const std::string& name) {
  if (account_ != 0) return OkStatus();
  v1::TokenClaim claim;
  claim.set_genesis(base::Bytes(genesis_hash_));
  claim.set_key(home_->key().public_key());
  v1::Intent intent;
  intent.set_genesis(claim.genesis());
  intent.set_not_after_ms(log_time_ms_ + kNotAfterMs);
  v1::AccountOpen* open = intent.mutable_account_open();
  open->set_key(home_->key().public_key());
  open->set_invite(invite_index);
  open->set_token_signature(token.SignDsse(ledger::kTokenType, ledger::Encode(claim)));
  open->set_name(name);
  CT_RETURN_IF_ERROR(Send(ledger::SignIntent(intent, home_->key())).status());
  CT_RETURN_IF_ERROR(Hello());  // a new nonce
  CT_RETURN_IF_ERROR(OpenSession());
  if (account_ != 0) return OkStatus();
  return Internal("the account was opened, but the coordinator does not know it");
}

StatusOr<VerifiedEntry> GrpcSession::Submit(v1::Intent body) {
  if (account_ == 0) return FailedPrecondition("this key has no account yet; join with an invite");
  body.set_genesis(base::Bytes(genesis_hash_));
  body.set_account(account_);
  body.set_sequence(next_sequence_);
  body.set_not_after_ms(log_time_ms_ + kNotAfterMs);
  const v1::SignedIntent sealed = ledger::SignIntent(body, home_->key());
  CT_RETURN_IF_ERROR(home_->SavePending(sealed));
  return Send(sealed);
}

StatusOr<v1::GetAccountReply> GrpcSession::GetAccount() {
  v1::GetAccountReply reply;
  grpc::ClientContext context;
  SetTimeout(&context, kCallTimeoutS);
  Authorize(&context);
  CT_RETURN_IF_ERROR(FromGrpc(stub_->GetAccount(&context, {}, &reply)));
  return reply;
}

StatusOr<v1::ListCampaignsReply> GrpcSession::ListCampaigns() {
  v1::ListCampaignsReply reply;
  grpc::ClientContext context;
  SetTimeout(&context, kCallTimeoutS);
  Authorize(&context);
  CT_RETURN_IF_ERROR(FromGrpc(stub_->ListCampaigns(&context, {}, &reply)));
  return reply;
}

StatusOr<VerifiedEntry> GrpcSession::FindCampaign(uint64_t campaign) {
  CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list, ListCampaigns());
  for (const auto& item : list.campaigns()) {
    if (item.campaign() != campaign) continue;
    CT_ASSIGN_OR_RETURN(VerifiedEntry entry, Verify(item.receipt()));
    if (entry.logged.entry.index() != campaign || !entry.logged.intent.has_campaign_open()) {
      return DataLoss("the coordinator's receipt for campaign {} is of something else", campaign);
    }
    return entry;
  }
  return FromPeer(NotFound("there is no campaign {}", campaign));
}

Status GrpcSession::Attend(uint64_t campaign, const std::function<bool(const v1::Notice&)>& take) {
  grpc::ClientContext context;
  Authorize(&context);
  const Streaming streaming(this, &context);
  v1::AttendRequest request;
  request.set_campaign(campaign);
  const auto reader = stub_->Attend(&context, request);
  v1::Notice notice;
  while (reader->Read(&notice)) {
    if (!take(notice)) context.TryCancel();
  }
  return FromGrpc(reader->Finish());
}

Status GrpcSession::Watch(uint64_t campaign,
                          const std::function<bool(const v1::CampaignView&)>& take) {
  grpc::ClientContext context;
  Authorize(&context);
  const Streaming streaming(this, &context);
  v1::WatchRequest request;
  request.set_campaign(campaign);
  const auto reader = stub_->Watch(&context, request);
  v1::CampaignView view;
  bool more = true;
  while (more && reader->Read(&view)) more = take(view);
  if (!more) context.TryCancel();
  const Status ended = FromGrpc(reader->Finish());
  return !more ? OkStatus() : ended;
}

void GrpcSession::Cancel() {
  const std::lock_guard lock(streams_mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : streams_) context->TryCancel();
}

namespace {

// gRPC reports a server with another certificate as unavailable; trying again would not help.
Status ExplainCertificate(const Status& status) {
  const std::string text = Message(status);
  for (const char* sign : {"certificate verify failed", "CERTIFICATE_VERIFY_FAILED"}) {
    if (text.find(sign) == std::string::npos) continue;
    return FromPeer(PermissionDenied(
        "this is not the coordinator of the invite: its certificate is not signed by the "
        "invite's; ask the operator for a new invite"));
  }
  return status;
}

}  // namespace

StatusOr<std::unique_ptr<Session>> Session::Connect(Home* home, const SessionOptions& options) {
  CT_ASSIGN_OR_RETURN(const ledger::VerifierKey log_key, ledger::ParseVkey(options.log_vkey));
  Status last = InvalidArgument("the invite names no address");
  for (const std::string& address : options.addresses) {
    auto session = std::make_unique<GrpcSession>(home, log_key, options.ca_pem);
    last = ExplainCertificate(session->Open(address));
    if (last.ok()) return StatusOr<std::unique_ptr<Session>>(std::move(session));
    last = Annotate(last, address);
    // Behind one of the addresses may be somebody else by now.
    if (!wire::IsTransient(last) && !absl::IsPermissionDenied(last)) break;
  }
  return last;
}

}  // namespace crowdteach::client
