#include "proto/base/exit_codes.h"

#include "absl/strings/cord.h"

namespace crowdteach {
namespace {

constexpr char kPeerPayload[] = "crowdteach/from-peer";
constexpr char kForkPayload[] = "crowdteach/fork";

}  // namespace

Status FromPeer(Status status) {
  if (!status.ok()) status.SetPayload(kPeerPayload, absl::Cord("1"));
  return status;
}

bool IsFromPeer(const Status& status) { return status.GetPayload(kPeerPayload).has_value(); }

Status AsFork(Status status) {
  if (!status.ok()) status.SetPayload(kForkPayload, absl::Cord("1"));
  return status;
}

bool IsFork(const Status& status) { return status.GetPayload(kForkPayload).has_value(); }

int ExitCodeOf(const Status& status) {
  if (status.ok()) return kExitOk;
  if (IsFork(status)) return kExitFork;
  if (IsFromPeer(status)) {
    return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ? kExitUnreachable
                                                                           : kExitRefused;
  }
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return kExitIo;
    case absl::StatusCode::kDataLoss:
      return kExitDisproved;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    case absl::StatusCode::kDeadlineExceeded:
      return kExitStalled;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kUnimplemented:
      return kExitInternal;
    default:
      return kExitRefused;
  }
}

}  // namespace crowdteach
