#include "server/rpc/coordinator_service.h"

#include <string>
#include <utility>

#include "proto/wire/status.h"
#include "server/rpc/handshake.h"
#include "server/rpc/push_stream.h"
#include "server/rpc/upload.h"

namespace crowdteach::server {
namespace {

template <typename F>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* call, const char* method,
                                 F&& handler) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(wire::ToGrpc(Guarded(method, std::forward<F>(handler))));
  return reactor;
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
    CT_ASSIGN_OR_RETURN(
        *reply, SayHello(context_->coordinator, context_->sessions, *request, context_->now_ms()));
    for (const std::string& address : context_->addresses) reply->add_addresses(address);
    return OkStatus();
  });
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
  return Answer(call, "OpenSession", [&]() -> Status {
    CT_ASSIGN_OR_RETURN(
        *reply, server::OpenSession(context_->coordinator, &context_->sessions, context_->ca_digest,
                                    *request, context_->now_ms()));
    return OkStatus();
  });
}

Status CoordinatorService::CheckSubmit(const grpc::CallbackServerContext& call,
                                       const v1::SubmitRequest& request, uint64_t* account) {
  CT_ASSIGN_OR_RETURN(const v1::Intent intent, OpenIntent(request));
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
          CT_ASSIGN_OR_RETURN(
              *reply, AnswerSubmit(context_->coordinator, *request, account, std::move(outcome)));
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

grpc::ServerUnaryReactor* CoordinatorService::ListEntries(grpc::CallbackServerContext* call,
                                                          const v1::ListEntriesRequest* request,
                                                          v1::ListEntriesReply* reply) {
  return Answer(call, "ListEntries", [&]() -> Status {
    CT_ASSIGN_OR_RETURN(const uint64_t account, context_->Authenticate(*call));
    *reply = context_->coordinator.Entries(account, request->first_index());
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
    CT_ASSIGN_OR_RETURN(const uint64_t account, context_->AuthenticateIfShown(*call));
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
