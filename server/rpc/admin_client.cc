#include "server/rpc/admin_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "crowdteach/v1/admin.grpc.pb.h"
#include "proto/base/exit_codes.h"
#include "proto/wire/credentials.h"
#include "proto/wire/status.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/rpc_server.h"

namespace crowdteach::server {
namespace {

constexpr std::chrono::seconds kDeadline{30};
constexpr std::chrono::hours kExportDeadline{12};  // as long as the disk needs

}  // namespace

struct AdminClient::Impl {
  std::string home;
  std::unique_ptr<v1::Admin::Stub> stub;

  // Calls one method of the stub.
  template <typename Reply, typename Request>
  StatusOr<Reply> Call(grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&,
                                                               Reply*),
                       const Request& request,
                       std::chrono::system_clock::duration deadline = kDeadline) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    Reply reply;
    const Status status = wire::FromGrpc(((*stub).*method)(&context, request, &reply));
    if (wire::Detail(status) == kOwnFailure) return Status(status.code(), status.message());
    if (absl::IsUnavailable(status)) {
      return FromPeer(
          Unavailable("no coordinator runs in {}: start it with \"crowdteachd serve "
                      "--home {}\"",
                      home, home));
    }
    CT_RETURN_IF_ERROR(status);
    return reply;
  }
};

StatusOr<AdminClient> AdminClient::Of(const std::string& home) {
  CT_ASSIGN_OR_RETURN(const std::string path, AdminSocketPath(home));
  auto impl = std::make_shared<Impl>();
  impl->home = home;
  impl->stub = v1::Admin::NewStub(wire::UnixChannel(path));
  return AdminClient(std::move(impl));
}

StatusOr<v1::IssueCreditsReply> AdminClient::IssueCredits(
    const v1::IssueCreditsRequest& request) const {
  return impl_->Call<v1::IssueCreditsReply>(&v1::Admin::Stub::IssueCredits, request);
}

StatusOr<v1::MakeInviteReply> AdminClient::MakeInvite(const v1::MakeInviteRequest& request) const {
  return impl_->Call<v1::MakeInviteReply>(&v1::Admin::Stub::MakeInvite, request);
}

StatusOr<v1::ExportReply> AdminClient::Export(const v1::ExportRequest& request) const {
  return impl_->Call<v1::ExportReply>(&v1::Admin::Stub::Export, request, kExportDeadline);
}

StatusOr<v1::GetStatusReply> AdminClient::GetStatus() const {
  return impl_->Call<v1::GetStatusReply>(&v1::Admin::Stub::GetStatus, v1::GetStatusRequest());
}

}  // namespace crowdteach::server
