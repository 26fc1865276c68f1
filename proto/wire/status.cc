#include "proto/wire/status.h"

#include <string>

#include "absl/strings/cord.h"
#include "proto/base/exit_codes.h"

namespace crowdteach::wire {
namespace {

constexpr char kDetailPayload[] = "crowdteach/detail";
constexpr size_t kMaxTextBytes = 2048;

// gRPC's own words for a connection that did not come about or broke, and what people make of it.
struct Saying {
  const char* theirs;
  const char* ours;
};
constexpr Saying kSayings[] = {
    {"Connection refused",
     "nothing listens there; is the coordinator running, and is this its address?"},
    {"ALPN",
     "something else than a coordinator's port for teachers and owners answers there (perhaps its "
     "HTTPS port, which is for auditors)"},
    {"http1.x", "an ordinary web server answers there, not a coordinator"},
    {"Received http2 header", "an ordinary web server answers there, not a coordinator"},
    {"wrong version number", "something without TLS answers there, not a coordinator"},
    {"DNS resolution failed", "the name is not known; is it written right, and is the network up?"},
    {"Network is unreachable", "the network there cannot be reached; is this machine online?"},
    {"No route to host", "there is no way to that host; is it running, and no firewall between?"},
    {"connection attempt timed out", "nobody answers there; is there a firewall between?"},
    {"FD Shutdown", "nobody answers there; is there a firewall between?"},
    {"Deadline Exceeded", "the coordinator did not answer in time"},
    {"Socket closed", "the connection to the coordinator broke"},
    {"Connection reset by peer", "the connection to the coordinator broke"},
    {"GOAWAY", "the connection to the coordinator broke"},
    {"keepalive watchdog timeout", "the connection to the coordinator broke"},
    {"failed to connect to all addresses", "no connection could be made"},
};

// A bad certificate is left as it is: the client has more to say of it.
std::string InPlainWords(const grpc::Status& status) {
  const std::string& text = status.error_message();
  const bool transport = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  for (const char* sign : {"certificate verify failed", "CERTIFICATE_VERIFY_FAILED"}) {
    if (!transport || text.find(sign) != std::string::npos) return text;
  }
  for (const Saying& saying : kSayings) {
    if (text.find(saying.theirs) != std::string::npos) return saying.ours;
  }
  return text;
}

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
                InPlainWords(status).substr(0, kMaxTextBytes));
  if (!status.error_details().empty()) {
    result = WithDetail(std::move(result), status.error_details());
  }
  return FromPeer(std::move(result));
}

}  // namespace crowdteach::wire
