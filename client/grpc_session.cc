#include "client/grpc_session.h"

#include <algorithm>
#include <utility>

#include "ledger/canonical.h"
#include "ledger/checkpoint.h"
#include "ledger/receipt.h"
#include "ledger/rules_version.h"
#include "ledger/state.h"
#include "ledger/statement.h"
#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"
#include "proto/base/protocol.h"
#include "proto/wire/certificates.h"
#include "proto/wire/credentials.h"
#include "proto/wire/invite.h"
#include "proto/wire/status.h"

namespace crowdteach::client {
namespace {

using wire::FromGrpc;

constexpr char kName[] = "crowdteach";
constexpr char kProgram[] = "crowdteach " CROWDTEACH_VERSION;
constexpr size_t kMaxListBytes = 400;
constexpr int kHelloTimeoutS = 20;         // to resolve a name, connect and be answered
constexpr uint64_t kNotAfterMs = 600'000;  // an intent is good for ten minutes of log time
// Opening a campaign waits for the coordinator to evaluate the model.
constexpr int kSubmitTimeoutS = 600;

}  // namespace

void GrpcSession::Authorize(grpc::ClientContext* context) const {
  if (!token_.empty()) context->AddMetadata("authorization", "Bearer " + base::Hex(token_));
}

StatusOr<std::vector<base::Hash>> GrpcSession::AskProof(uint64_t old_size, uint64_t size) {
  v1::GetConsistencyRequest request;
  request.set_old_size(old_size);
  request.set_size(size);
  v1::GetConsistencyReply reply;
  grpc::ClientContext context;
  SetTimeout(&context, kCallTimeoutS);
  CT_RETURN_IF_ERROR(FromGrpc(stub_->GetConsistency(&context, request, &reply)));
  std::vector<base::Hash> proof(static_cast<size_t>(reply.proof_size()));
  for (int i = 0; i < reply.proof_size(); ++i) {
    CT_ASSIGN_OR_RETURN(proof[static_cast<size_t>(i)], base::HashFromBytes(reply.proof(i)));
  }
  return proof;
}

Status GrpcSession::NoteAddresses(const v1::HelloReply& reply) {
  const std::vector<std::string> told(reply.addresses().begin(), reply.addresses().end());
  if (told.size() > wire::kMaxAddresses) {
    return FailedPrecondition("the coordinator names {} addresses of its own; at most {} are taken",
                              told.size(), wire::kMaxAddresses);
  }
  for (const std::string& address : told) {
    CT_RETURN_IF_ERROR(
        Annotate(wire::CheckPublicAddress(address), "the coordinator's own address"));
  }
  return home_->SaveAddresses(told);
}

StatusOr<ledger::VerifiedReceipt> GrpcSession::OpenReceipt(const std::string& receipt) const {
  StatusOr<ledger::VerifiedReceipt> opened = ledger::VerifyReceipt(receipt, log_key_);
  if (opened.ok()) return opened;
  return DataLoss("the coordinator shows what is not of the log {} that the invite names: {}",
                  log_key_.name, Message(opened.status()));
}

Status GrpcSession::Hello() {
  if (!seen_.has_value()) {
    CT_ASSIGN_OR_RETURN(seen_, SeenHead::Load(home_, log_key_));
  }
  v1::HelloRequest request;
  request.set_protocol_version(base::kNewestProtocol);
  request.set_oldest_protocol(base::kOldestProtocol);
  request.set_program(kProgram);
  v1::HelloReply reply;
  grpc::ClientContext context;
  SetTimeout(&context, kHelloTimeoutS);
  CT_RETURN_IF_ERROR(FromGrpc(stub_->Hello(&context, request, &reply)));
  // First of all: what another protocol says must not be read as if it were ours.
  CT_RETURN_IF_ERROR(FromPeer(base::CheckCompatible(
      {kProgram}, {reply.program(), reply.protocol_version(), reply.oldest_protocol()})));
  CT_ASSIGN_OR_RETURN(const ledger::VerifiedReceipt genesis, OpenReceipt(reply.genesis_receipt()));
  if (!genesis.entry.intent.has_genesis_body()) {
    return DataLoss("the coordinator's entry 0 is not a GENESIS");
  }
  CT_RETURN_IF_ERROR(ledger::CheckRulesVersion(genesis.entry.intent.genesis_body(), kName));
  CT_ASSIGN_OR_RETURN(const ledger::ReceiptParts parts,
                      ledger::ParseReceipt(reply.genesis_receipt()));
  CT_RETURN_IF_ERROR(seen_->SeeNewest(
      parts.checkpoint, genesis.checkpoint,
      [this](uint64_t old_size, uint64_t size) { return AskProof(old_size, size); }));
  CT_RETURN_IF_ERROR(home_->log_clock().Note(reply.log_time_ms()));
  // It names the operator's key, so whatever the operator signs can be checked offline.
  if (!home_->HasReceipt(0)) CT_RETURN_IF_ERROR(home_->SaveReceipt(0, reply.genesis_receipt()));
  CT_RETURN_IF_ERROR(NoteAddresses(reply));
  genesis_hash_ = genesis.entry.leaf;
  genesis_ = genesis.entry.intent.genesis_body();
  nonce_ = reply.nonce();
  return OkStatus();
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
  return home_->log_clock().Note(reply.log_time_ms());
}

Status GrpcSession::Open(const std::string& address) {
  stub_ = v1::Coordinator::NewStub(wire::PinnedChannel(address, ca_pem_));
  CT_RETURN_IF_ERROR(Hello());
  CT_RETURN_IF_ERROR(OpenSession());
  // What is in flight is for a process that works in the home to settle.
  if (account_ == 0 || home_->looking()) return OkStatus();
  return SettlePending({}).status();
}

StatusOr<v1::Statement> GrpcSession::TakeStatement(const v1::SignedStatement& sealed,
                                                   std::string_view subject) {
  StatusOr<v1::Statement> statement =
      ledger::OpenStatement(sealed, genesis_.operator_key(), genesis_hash_);
  if (!statement.ok()) return DataLoss("the coordinator's answer: {}", Message(statement.status()));
  if (statement->subject() != subject) {
    return DataLoss("the coordinator's statement is about something else");
  }
  CT_RETURN_IF_ERROR(home_->SaveStatement(sealed, statement->kind(), subject));
  return statement;
}

Status GrpcSession::ReadRefusal(const v1::SignedStatement& refusal,
                                const v1::SignedIntent& sealed) {
  const base::Hash subject = base::Sha256Of(sealed.payload());
  CT_ASSIGN_OR_RETURN(const v1::Statement statement, TakeStatement(refusal, base::View(subject)));
  if (statement.kind() != v1::INTENT_REFUSED) {
    return DataLoss("the coordinator's refusal is a statement of another kind");
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
  CT_RETURN_IF_ERROR(
      seen_->See(parts.checkpoint, verified.checkpoint,
                 [this](uint64_t old_size, uint64_t size) { return AskProof(old_size, size); }));
  CT_RETURN_IF_ERROR(CheckOperator(verified.entry));
  return VerifiedEntry{std::move(verified.entry), receipt};
}

StatusOr<VerifiedEntry> GrpcSession::Send(const v1::SignedIntent& sealed) {
  v1::SubmitRequest request;
  *request.mutable_intent() = sealed;
  v1::SubmitReply reply;
  CT_RETURN_IF_ERROR(Authorized(kSubmitTimeoutS, [&](grpc::ClientContext* context) {
    return stub_->Submit(context, request, &reply);
  }));
  CT_RETURN_IF_ERROR(home_->log_clock().Note(reply.log_time_ms()));
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

StatusOr<std::optional<VerifiedEntry>> GrpcSession::SettlePending(const v1::Intent& next) {
  CT_ASSIGN_OR_RETURN(const std::optional<v1::SignedIntent> pending, home_->LoadPending());
  std::optional<VerifiedEntry> same;
  if (!pending.has_value()) return same;
  CT_ASSIGN_OR_RETURN(v1::Intent intent, ledger::DecodeIntent(pending->payload()));
  if (intent.genesis() != base::View(genesis_hash_)) {
    CT_RETURN_IF_ERROR(home_->SavePending(std::nullopt));
    return same;
  }
  // The same bytes again: logged already, logged now, or refused with a signed reason.
  StatusOr<VerifiedEntry> sent = Send(*pending);
  if (absl::IsFailedPrecondition(sent.status()) && IsFromPeer(sent.status())) return same;
  CT_RETURN_IF_ERROR(sent.status());
  intent.clear_genesis();
  intent.clear_account();
  intent.clear_sequence();
  intent.clear_not_after_ms();
  if (ledger::Encode(intent) == ledger::Encode(next)) same = *std::move(sent);
  return same;
}

Status GrpcSession::Register(const ledger::SigningKey& token, uint64_t invite_index,
                             const std::string& name) {
  if (account_ != 0) return OkStatus();
  v1::TokenClaim claim;
  claim.set_genesis(base::Bytes(genesis_hash_));
  claim.set_key(home_->key().public_key());
  v1::Intent intent;
  intent.set_genesis(claim.genesis());
  intent.set_not_after_ms(home_->log_clock().now_ms() + kNotAfterMs);
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
  if (home_->looking()) return Internal("{} is only looked at: nothing is signed", home_->path());
  // Two bodies must never be signed under one number: what is in flight is settled first, and if it
  // is this very act, its fate is the answer.
  CT_ASSIGN_OR_RETURN(std::optional<VerifiedEntry> same, SettlePending(body));
  if (same.has_value()) return *std::move(same);
  body.set_genesis(base::Bytes(genesis_hash_));
  body.set_account(account_);
  body.set_sequence(next_sequence_);
  body.set_not_after_ms(home_->log_clock().now_ms() + kNotAfterMs);
  const v1::SignedIntent sealed = ledger::SignIntent(body, home_->key());
  CT_RETURN_IF_ERROR(home_->SavePending(sealed));
  return Send(sealed);
}

Status GrpcSession::FetchReceipt(uint64_t index) {
  if (home_->HasReceipt(index)) return OkStatus();
  v1::GetReceiptRequest request;
  request.set_index(index);
  v1::GetReceiptReply reply;
  CT_RETURN_IF_ERROR(Authorized(kCallTimeoutS, [&](grpc::ClientContext* context) {
    return stub_->GetReceipt(context, request, &reply);
  }));
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, Verify(reply.receipt()));
  if (entry.logged.entry.index() != index) {
    return DataLoss("the coordinator's receipt for entry {} is of entry {}", index,
                    entry.logged.entry.index());
  }
  return home_->SaveReceipt(index, entry.receipt);
}

Status GrpcSession::FetchReceipts() {
  CT_ASSIGN_OR_RETURN(uint64_t next, home_->LoadFetched());
  for (bool more = true; more;) {
    v1::ListEntriesRequest request;
    request.set_first_index(next);
    v1::ListEntriesReply reply;
    const Status listed = Authorized(kCallTimeoutS, [&](grpc::ClientContext* context) {
      return stub_->ListEntries(context, request, &reply);
    });
    if (absl::IsUnimplemented(listed)) {
      return FromPeer(FailedPrecondition(
          "the coordinator is older than this program and cannot list your entries"));
    }
    CT_RETURN_IF_ERROR(listed);
    for (const uint64_t index : reply.indexes()) CT_RETURN_IF_ERROR(FetchReceipt(index));
    more = reply.more() && reply.next_index() > next;
    if (reply.next_index() > next) CT_RETURN_IF_ERROR(home_->SaveFetched(reply.next_index()));
    next = reply.next_index();
  }
  CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list, ListCampaigns());
  for (const auto& item : list.campaigns()) {
    if (item.enrolled()) CT_RETURN_IF_ERROR(FetchReceipt(item.campaign()));
  }
  return OkStatus();
}

StatusOr<v1::GetAccountReply> GrpcSession::GetAccount() {
  v1::GetAccountReply reply;
  CT_RETURN_IF_ERROR(Authorized(kCallTimeoutS, [&](grpc::ClientContext* context) {
    return stub_->GetAccount(context, {}, &reply);
  }));
  return reply;
}

StatusOr<v1::ListCampaignsReply> GrpcSession::ListCampaigns() {
  v1::ListCampaignsReply reply;
  CT_RETURN_IF_ERROR(Authorized(kCallTimeoutS, [&](grpc::ClientContext* context) {
    return stub_->ListCampaigns(context, {}, &reply);
  }));
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
  std::string known;
  for (const auto& item : list.campaigns()) {
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", item.campaign(), item.name());
  }
  return FromPeer(NotFound("there is no campaign {}; there is {}", campaign,
                           known.empty() ? "none yet" : known.substr(0, kMaxListBytes)));
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
  v1::WatchRequest request;
  request.set_campaign(campaign);
  for (bool again = true;; again = false) {
    grpc::ClientContext context;
    Authorize(&context);
    const Streaming streaming(this, &context);
    const auto reader = stub_->Watch(&context, request);
    v1::CampaignView view;
    bool more = true;
    while (more && reader->Read(&view)) more = take(view);
    if (!more) context.TryCancel();
    const Status ended = FromGrpc(reader->Finish());
    if (!more) return OkStatus();
    if (!again || !absl::IsUnauthenticated(ended)) return ended;
    CT_RETURN_IF_ERROR(Hello());
    CT_RETURN_IF_ERROR(OpenSession());
  }
}

void GrpcSession::Cancel() {
  const std::lock_guard lock(streams_mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : streams_) context->TryCancel();
}

}  // namespace crowdteach::client
