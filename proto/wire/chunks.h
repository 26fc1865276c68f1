// Blobs on the wire: v1::Chunk as bytes without copying the payload, chunk arithmetic, kinds.
//
// The payload is the message's last field, so a chunk is a short header slice followed by the
// payload's slice, and slices are reference-counted: a chunk encoded once is sent to any number of
// peers. Used with gRPC's raw methods. Thread-safety: pure functions; a ByteBuffer may be copied by
// any thread.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <string>

#include "crowdteach/v1/coordinator.pb.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::wire {

// The encoding of Chunk{size_bytes, payload}; size_bytes 0 is left out, as in every chunk but the
// first sent.
grpc::ByteBuffer EncodeChunk(uint64_t size_bytes, std::string payload);

// Any message out of a raw method's buffer, at most 2 MiB. kInvalidArgument.
Status DecodeMessage(const grpc::ByteBuffer& buffer, google::protobuf::MessageLite* message);

// How many chunks a blob of `size_bytes` has.
uint64_t ChunkCount(uint64_t size_bytes);
// How many bytes chunk `index` has; 0 past the end.
uint64_t ChunkLength(uint64_t size_bytes, uint64_t index);

// kInvalidArgument: unspecified, or a number this version does not know.
StatusOr<base::BlobKind> BlobKindOf(v1::BlobKindName name);

}  // namespace crowdteach::wire
