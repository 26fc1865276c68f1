// What both ports say to somebody who comes: Hello, OpenSession, and the answer to a submitted
// intent. No gRPC here; the messages are coordinator.proto's. Thread-safety: any thread.
#pragma once

#include <cstdint>

#include "crowdteach/v1/coordinator.pb.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "server/coordinator.h"
#include "server/rpc/sessions.h"

namespace crowdteach::server {

// kFailedPrecondition: another protocol version; says who should upgrade.
StatusOr<v1::HelloReply> SayHello(const Coordinator& coordinator, const Sessions& sessions,
                                  const v1::HelloRequest& request, uint64_t now_ms);

// kInvalidArgument: no claim. kUnauthenticated: not signed by the key it names, for another CA, or
// with a nonce that is not good. kFailedPrecondition: for another log. kNotFound: no account has
// the key. kResourceExhausted: too many claims.
StatusOr<v1::OpenSessionReply> OpenSession(const Coordinator& coordinator, Sessions* sessions,
                                           const base::Hash& ca_digest,
                                           const v1::OpenSessionRequest& request, uint64_t now_ms);

// The intent inside a request; its size and form are checked, nothing else. kInvalidArgument.
StatusOr<v1::Intent> OpenIntent(const v1::SubmitRequest& request);
// The receipt, or the signed refusal. An error: not the sender's doing, to be tried again.
StatusOr<v1::SubmitReply> AnswerSubmit(const Coordinator& coordinator,
                                       const v1::SubmitRequest& request, uint64_t account,
                                       SubmitOutcome outcome);

}  // namespace crowdteach::server
