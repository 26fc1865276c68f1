#include "server/rpc/coordinator_service.h"

#include <string>
#include <utility>

#include "ledger/canonical.h"
#include "ledger/entry.h"
#include "ledger/signature.h"
#include "proto/base/bytes.h"
#include "proto/base/protocol.h"
#include "proto/wire/credentials.h"
#include "proto/wire/status.h"
#include "server/rpc/push_stream.h"
#include "server/rpc/upload.h"

namespace crowdteach::server {
namespace {

constexpr char kProgram[] = "crowdteachd " CROWDTEACH_VERSION;

template <typename F>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* call, const char* method,
                                 F&& handler) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(wire::ToGrpc(Guarded(method, std::forward<F>(handler))));
  return reactor;
}

Status CheckVersion(const v1::HelloRequest& request) {
  const Status compatible = base::CheckCompatible(
      {request.program(), request.protocol_version(), request.oldest_protocol()}, {kProgram});
  if (!compatible.ok()) spdlog::warn("a client was turned away: {}", Message(compatible));
  return compatible;
}

// A failure of this machine, to be tried again; all else is a refusal, and evidence.
bool IsOurFailure(const Status& status) {
  return absl::IsInternal(status) || absl::IsUnavailable(status) || absl::IsDataLoss(status) ||
         absl::IsAborted(status) || absl::IsCancelled(status) || absl::IsUnknown(status);
}

// The stream that begins with an error.
template <typename M>
grpc::ServerWriteReactor<M>* Refused(grpc::CallbackServerContext* call, const Status& status) {
  auto* stream = new PushStream<M>(call, Backlog::kKeepAll);
  stream->End(status);
  return stream;
}

}  // namespace

grpc::ServerUnaryReactor* CoordinatorService::Hello(grpc::CallbackServerContext* call,
                                                    const v1::HelloRequest* request,
                                                    v1::HelloReply* reply) {
  return Answer(call, "Hello", [&]() -> Status {
    CT_RETURN_IF_ERROR(CheckVersion(*request));
    reply->set_protocol_version(base::kNewestProtocol);
    reply->set_oldest_protocol(base::kOldestProtocol);
    reply->set_program(kProgram);
    CT_ASSIGN_OR_RETURN(*reply->mutable_genesis_receipt(), context_->coordinator.Receipt(0));
    reply->set_log_time_ms(context_->coordinator.log_time_ms());
    reply->set_nonce(context_->sessions.NewNonce(context_->now_ms()));
    return OkStatus();
  });
}

Status CoordinatorService::OpenSessionNow(const v1::OpenSessionRequest& request,
                                          v1::OpenSessionReply* reply) {
  Coordinator& coordinator = context_->coordinator;
  CT_ASSIGN_OR_RETURN(const auto claim, ledger::Decode<v1::SessionClaim>(request.claim()));
  if (!ledger::VerifyDsse(request.public_key(), ledger::kSessionType, request.claim(),
                          request.signature())) {
    return Unauthenticated("the session claim is not signed by the key it comes with");
  }
  if (claim.genesis() != base::View(coordinator.genesis_hash())) {
    return FailedPrecondition(
        "the session claim is for another log; this coordinator's begins "
        "with entry {}",
        base::Hex(coordinator.genesis_hash()));
  }
  if (claim.ca_digest() != base::View(context_->ca_digest)) {
    return Unauthenticated(
        "the session claim names another CA than this coordinator's: the "
        "connection was not made with this coordinator's invite");
  }
  const auto account = coordinator.FindAccount(request.public_key());
  if (!account.has_value()) {
    return NotFound("no account has the key {}: open one with an invite first",
                    base::Hex(request.public_key()));
  }
  CT_ASSIGN_OR_RETURN(Sessions::Token token,
                      context_->sessions.Open(account->account, claim.nonce(), context_->now_ms()));
  reply->set_token(std::move(token.bytes));
  reply->set_expires_ms(token.expires_ms);
  reply->set_account(account->account);
  reply->set_next_sequence(account->next_sequence);
  reply->set_log_time_ms(coordinator.log_time_ms());
  reply->set_role(account->role);
  return OkStatus();
}

grpc::ServerUnaryReactor* CoordinatorService::GetConsistency(
    grpc::CallbackServerContext* call, const v1::GetConsistencyRequest* request,
    v1::GetConsistencyReply* reply) {
  return Answer(call, "GetConsistency", [&]() -> Status {
    CT_ASSIGN_OR_RETURN(
        const std::vector<base::Hash> proof,
        context_->coordinator.ConsistencyProof(request->old_size(), request->size()));
    for (const base::Hash& hash : proof) reply->add_proof(base::Bytes(hash));
    return OkStatus();
  });
}

grpc::ServerUnaryReactor* CoordinatorService::OpenSession(grpc::CallbackServerContext* call,
                                                          const v1::OpenSessionRequest* request,
                                                          v1::OpenSessionReply* reply) {
  return Answer(call, "OpenSession", [&] { return OpenSessionNow(*request, reply); });
}

Status CoordinatorService::CheckSubmit(const grpc::CallbackServerContext& call,
                                       const v1::SubmitRequest& request, uint64_t* account) {
  const std::string& payload = request.intent().payload();
  if (payload.size() > ledger::kMaxEntryBytes || request.intent().signature().size() != 64) {
    return InvalidArgument(
        "an intent of {} bytes with a signature of {}: at most {} and exactly 64", payload.size(),
        request.intent().signature().size(), ledger::kMaxEntryBytes);
  }
  CT_ASSIGN_OR_RETURN(const v1::Intent intent, ledger::DecodeIntent(payload));
  *account = intent.account();
  if (intent.has_account_open()) return OkStatus();
  CT_ASSIGN_OR_RETURN(const uint64_t caller, context_->Authenticate(call));
  if (caller != intent.account()) {
    return PermissionDenied("the session is account {}'s, the intent account {}'s", caller,
                            intent.account());
  }
  return OkStatus();
}

grpc::ServerUnaryReactor* CoordinatorService::Submit(grpc::CallbackServerContext* call,
                                                     const v1::SubmitRequest* request,
                                                     v1::SubmitReply* reply) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  uint64_t account = 0;
  const Status checked = Guarded("Submit", [&] { return CheckSubmit(*call, *request, &account); });
  if (!checked.ok()) {
    reactor->Finish(wire::ToGrpc(checked));
    return reactor;
  }
  // Request and reply live until Finish, also when the client is gone by then.
  context_->coordinator.Submit(
      request->intent(), [this, reactor, request, reply, account](SubmitOutcome outcome) {
        const Status status = Guarded("Submit", [&]() -> Status {
          if (IsOurFailure(outcome.status)) return outcome.status;
          reply->set_next_sequence(outcome.next_sequence);
          reply->set_log_time_ms(outcome.log_time_ms);
          if (outcome.status.ok()) {
            reply->set_receipt(std::move(outcome.receipt));
            return OkStatus();
          }
          *reply->mutable_refusal() = context_->coordinator.State(
              account, v1::INTENT_REFUSED, base::View(base::Sha256Of(request->intent().payload())),
              Message(outcome.status));
          return OkStatus();
        });
        reactor->Finish(wire::ToGrpc(status));
      });
  return reactor;
}

grpc::ServerUnaryReactor* CoordinatorService::GetReceipt(grpc::CallbackServerContext* call,
                                                         const v1::GetReceiptRequest* request,
                                                         v1::GetReceiptReply* reply) {
  return Answer(call, "GetReceipt", [&]() -> Status {
    CT_ASSIGN_OR_RETURN(const uint64_t account, context_->Authenticate(*call));
    if (request->of_case() == v1::GetReceiptRequest::OF_NOT_SET) {
      return InvalidArgument("say of which entry: index or sequence");
    }
    CT_ASSIGN_OR_RETURN(*reply->mutable_receipt(),
                        request->has_index() ? context_->coordinator.Receipt(request->index())
                                             : context_->coordinator.ReceiptOfSequence(
                                                   account, request->sequence()));
    return OkStatus();
  });
}

grpc::ServerUnaryReactor* CoordinatorService::GetAccount(grpc::CallbackServerContext* call,
                                                         const v1::GetAccountRequest*,
                                                         v1::GetAccountReply* reply) {
  return Answer(call, "GetAccount", [&]() -> Status {
    CT_ASSIGN_OR_RETURN(const uint64_t account, context_->Authenticate(*call));
    *reply = context_->coordinator.Account(account);
    return OkStatus();
  });
}

grpc::ServerUnaryReactor* CoordinatorService::ListCampaigns(grpc::CallbackServerContext* call,
                                                            const v1::ListCampaignsRequest*,
                                                            v1::ListCampaignsReply* reply) {
  return Answer(call, "ListCampaigns", [&]() -> Status {
    CT_ASSIGN_OR_RETURN(const uint64_t account, context_->Authenticate(*call));
    *reply = context_->coordinator.Campaigns(account);
    return OkStatus();
  });
}

grpc::ServerWriteReactor<v1::Notice>* CoordinatorService::Attend(grpc::CallbackServerContext* call,
                                                                 const v1::AttendRequest* request) {
  const StatusOr<uint64_t> account = context_->Authenticate(*call);
  if (!account.ok()) return Refused<v1::Notice>(call, account.status());
  auto* stream = new PushStream<v1::Notice>(call, Backlog::kKeepAll);
  StatusOr<uint64_t> id = Unavailable("not attending");
  const Status status = Guarded("Attend", [&] {
    id = context_->coordinator.Attend(
        *account, request->campaign(),
        [stream](std::shared_ptr<const v1::Notice> notice) { stream->Push(std::move(notice)); });
    return id.status();
  });
  if (status.ok()) {
    stream->OnDoneCall([context = context_, id = *id] { context->coordinator.Leave(id); });
  } else {
    stream->End(status);
  }
  return stream;
}

grpc::ServerWriteReactor<v1::CampaignView>* CoordinatorService::Watch(
    grpc::CallbackServerContext* call, const v1::WatchRequest* request) {
  const StatusOr<uint64_t> account = context_->Authenticate(*call);
  if (!account.ok()) return Refused<v1::CampaignView>(call, account.status());
  auto* stream = new PushStream<v1::CampaignView>(call, Backlog::kKeepNewest);
  StatusOr<uint64_t> id = Unavailable("not watching");
  const Status status = Guarded("Watch", [&] {
    id = context_->coordinator.Watch(
        *account, request->campaign(),
        [stream](std::shared_ptr<const v1::CampaignView> view) { stream->Push(std::move(view)); });
    return id.status();
  });
  if (status.ok()) {
    stream->OnDoneCall([context = context_, id = *id] { context->coordinator.Leave(id); });
  } else {
    stream->End(status);
  }
  return stream;
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* CoordinatorService::Download(
    grpc::CallbackServerContext* call, const grpc::ByteBuffer* request) {
  return StartDownload(context_, &chunks_, call, request);
}

grpc::ServerUnaryReactor* CoordinatorService::GetUpload(grpc::CallbackServerContext* call,
                                                        const v1::GetUploadRequest* request,
                                                        v1::GetUploadReply* reply) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  const StatusOr<uint64_t> account = context_->Authenticate(*call);
  if (!account.ok()) {
    reactor->Finish(wire::ToGrpc(account.status()));
    return reactor;
  }
  context_->disk.Post([context = context_, reactor, request, reply, account = *account] {
    reactor->Finish(wire::ToGrpc(Guarded(
        "GetUpload", [&] { return AnswerGetUpload(context, account, request->head(), reply); })));
  });
  return reactor;
}

grpc::ServerReadReactor<v1::UploadPart>* CoordinatorService::Upload(
    grpc::CallbackServerContext* call, v1::UploadReply* reply) {
  return StartUpload(context_, call, reply);
}

}  // namespace crowdteach::server
