#include "proto/wire/status.h"

#include <string>

#include "absl/strings/cord.h"
#include "proto/base/exit_codes.h"

namespace crowdteach::wire {
namespace {

constexpr char kDetailPayload[] = "crowdteach/detail";
constexpr size_t kMaxTextBytes = 2048;

}  // namespace

Status WithDetail(Status status, std::string_view detail) {
  if (!status.ok()) {
    status.SetPayload(kDetailPayload, absl::Cord(std::string(detail.substr(0, kMaxTextBytes))));
  }
  return status;
}

std::string Detail(const Status& status) {
  const auto payload = status.GetPayload(kDetailPayload);
  return payload.has_value() ? std::string(*payload) : std::string();
}

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      Message(status).substr(0, kMaxTextBytes), Detail(status));
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return OkStatus();
  // absl maps numbers it does not know to kUnknown.
  Status result(static_cast<absl::StatusCode>(status.error_code()),
                status.error_message().substr(0, kMaxTextBytes));
  if (!status.error_details().empty()) {
    result = WithDetail(std::move(result), status.error_details());
  }
  return FromPeer(std::move(result));
}

}  // namespace crowdteach::wire
