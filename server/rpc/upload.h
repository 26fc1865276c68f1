// Receiving blobs: GetUpload and the Upload stream.
//
// Parts are one chunk each, in order, beginning at the first chunk the store lacks. What the
// account may not upload, and bytes that are not the blob announced, are answered with a signed
// UPLOAD_REFUSED; a complete blob with UPLOAD_COMPLETE; failures of this machine or the network
// with a gRPC status, and what was received stays for the next attempt. Thread-safety: any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include "crowdteach/v1/coordinator.pb.h"
#include "server/rpc/context.h"

namespace crowdteach::server {

// Hashes what is there again, so it may take as long as reading it: for the disk pool.
// kPermissionDenied and others as Coordinator::CheckUpload; kUnavailable: an Upload of it is
// running.
Status AnswerGetUpload(RpcContext* context, uint64_t account, const v1::UploadHead& head,
                       v1::GetUploadReply* reply);

// The reactor of one call; deletes itself.
grpc::ServerReadReactor<v1::UploadPart>* StartUpload(RpcContext* context,
                                                     grpc::CallbackServerContext* call,
                                                     v1::UploadReply* reply);

}  // namespace crowdteach::server
