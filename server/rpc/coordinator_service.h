// The Coordinator service (proto/crowdteach/v1/coordinator.proto) over server::Coordinator.
//
// Every handler is a callback-API reactor: no thread waits for a client. Thread-safety: gRPC calls
// it from any thread. Shut the gRPC server down before destroying it.
#pragma once

#include "crowdteach/v1/coordinator.grpc.pb.h"
#include "server/rpc/context.h"
#include "server/rpc/download.h"

namespace crowdteach::server {

// Download is raw: its chunks are encoded once for all peers.
using CoordinatorServiceBase =
    v1::Coordinator::WithRawCallbackMethod_Download<v1::Coordinator::CallbackService>;

class CoordinatorService final : public CoordinatorServiceBase {
 public:
  explicit CoordinatorService(RpcContext* context) : context_(context) {}

  grpc::ServerUnaryReactor* Hello(grpc::CallbackServerContext* call,
                                  const v1::HelloRequest* request, v1::HelloReply* reply) override;
  grpc::ServerUnaryReactor* GetConsistency(grpc::CallbackServerContext* call,
                                           const v1::GetConsistencyRequest* request,
                                           v1::GetConsistencyReply* reply) override;
  grpc::ServerUnaryReactor* OpenSession(grpc::CallbackServerContext* call,
                                        const v1::OpenSessionRequest* request,
                                        v1::OpenSessionReply* reply) override;
  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* call,
                                   const v1::SubmitRequest* request,
                                   v1::SubmitReply* reply) override;
  grpc::ServerUnaryReactor* GetReceipt(grpc::CallbackServerContext* call,
                                       const v1::GetReceiptRequest* request,
                                       v1::GetReceiptReply* reply) override;
  grpc::ServerUnaryReactor* ListEntries(grpc::CallbackServerContext* call,
                                        const v1::ListEntriesRequest* request,
                                        v1::ListEntriesReply* reply) override;
  grpc::ServerUnaryReactor* GetAccount(grpc::CallbackServerContext* call,
                                       const v1::GetAccountRequest* request,
                                       v1::GetAccountReply* reply) override;
  grpc::ServerUnaryReactor* ListCampaigns(grpc::CallbackServerContext* call,
                                          const v1::ListCampaignsRequest* request,
                                          v1::ListCampaignsReply* reply) override;
  grpc::ServerWriteReactor<v1::Notice>* Attend(grpc::CallbackServerContext* call,
                                               const v1::AttendRequest* request) override;
  grpc::ServerWriteReactor<v1::CampaignView>* Watch(grpc::CallbackServerContext* call,
                                                    const v1::WatchRequest* request) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Download(grpc::CallbackServerContext* call,
                                                       const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* GetUpload(grpc::CallbackServerContext* call,
                                      const v1::GetUploadRequest* request,
                                      v1::GetUploadReply* reply) override;
  grpc::ServerReadReactor<v1::UploadPart>* Upload(grpc::CallbackServerContext* call,
                                                  v1::UploadReply* reply) override;

 private:
  // The account an intent may be submitted for; checks its size and form.
  Status CheckSubmit(const grpc::CallbackServerContext& call, const v1::SubmitRequest& request,
                     uint64_t* account);

  RpcContext* const context_;
  ChunkCache chunks_{64};
};

}  // namespace crowdteach::server
