// absl::Status on our side, grpc::Status on the wire.
//
// The codes are the same numbers. Messages are cut at 2 KiB (they travel as HTTP/2 metadata); a
// detail (opaque bytes of at most 2 KiB) travels beside.
// Thread-safety: pure functions.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::wire {

// Attaches `detail` to a status that is not OK; Detail reads it back, "" if none.
Status WithDetail(Status status, std::string_view detail);
std::string Detail(const Status& status);

grpc::Status ToGrpc(const Status& status);
// The result is marked FromPeer (proto/base/exit_codes.h); gRPC's own kUnavailable, too.
Status FromGrpc(const grpc::Status& status);

}  // namespace crowdteach::wire
