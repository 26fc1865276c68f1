// The Admin service: the operator's commands, on a Unix socket only its user can open.
//
// Thread-safety: gRPC calls it from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crowdteach/v1/admin.grpc.pb.h"
#include "server/rpc/context.h"

namespace crowdteach::server {

// The detail (proto/wire/status.h) of a status about the coordinator's own disk. The operator's
// programs run on the same machine: it is not "unreachable", and no refusal either.
inline constexpr std::string_view kOwnFailure = "own-failure";

// What invites tell people.
struct Advertised {
  std::vector<std::string> addresses;      // gRPC
  std::vector<std::string> web_addresses;  // HTTPS
  std::string ca_pem;
};

class AdminService final : public v1::Admin::CallbackService {
 public:
  AdminService(RpcContext* context, Advertised advertised)
      : context_(context), advertised_(std::move(advertised)) {}

  grpc::ServerUnaryReactor* IssueCredits(grpc::CallbackServerContext* call,
                                         const v1::IssueCreditsRequest* request,
                                         v1::IssueCreditsReply* reply) override;
  grpc::ServerUnaryReactor* MakeInvite(grpc::CallbackServerContext* call,
                                       const v1::MakeInviteRequest* request,
                                       v1::MakeInviteReply* reply) override;
  grpc::ServerUnaryReactor* Export(grpc::CallbackServerContext* call,
                                   const v1::ExportRequest* request,
                                   v1::ExportReply* reply) override;
  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* call,
                                      const v1::GetStatusRequest* request,
                                      v1::GetStatusReply* reply) override;

 private:
  RpcContext* const context_;
  const Advertised advertised_;
};

}  // namespace crowdteach::server
