#include "proto/wire/chunks.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <vector>

#include "proto/wire/credentials.h"

namespace crowdteach::wire {
namespace {

using google::protobuf::io::CodedOutputStream;

// (field number << 3) | wire type, of Chunk's two fields.
constexpr uint8_t kSizeTag = (v1::Chunk::kSizeBytesFieldNumber << 3) | 0;
constexpr uint8_t kPayloadTag = (v1::Chunk::kPayloadFieldNumber << 3) | 2;
static_assert(v1::Chunk::kPayloadFieldNumber > v1::Chunk::kSizeBytesFieldNumber);

}  // namespace

grpc::ByteBuffer EncodeChunk(uint64_t size_bytes, std::string payload) {
  uint8_t header[24];
  uint8_t* end = header;
  if (size_bytes != 0) {
    *end++ = kSizeTag;
    end = CodedOutputStream::WriteVarint64ToArray(size_bytes, end);
  }
  if (!payload.empty()) {
    *end++ = kPayloadTag;
    end = CodedOutputStream::WriteVarint64ToArray(payload.size(), end);
  }
  std::vector<grpc::Slice> slices;
  slices.emplace_back(header, static_cast<size_t>(end - header));
  if (!payload.empty()) {
    auto* owned = new std::string(std::move(payload));  // deleted with the last reference
    slices.emplace_back(
        owned->data(), owned->size(), [](void* p) { delete static_cast<std::string*>(p); }, owned);
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

Status DecodeMessage(const grpc::ByteBuffer& buffer, google::protobuf::MessageLite* message) {
  if (buffer.Length() > static_cast<size_t>(kMaxMessageBytes)) {
    return InvalidArgument("a message of {} bytes; at most {} are allowed", buffer.Length(),
                           kMaxMessageBytes);
  }
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return InvalidArgument("a message that cannot be read");
  std::string bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  if (!message->ParseFromString(bytes)) {
    return InvalidArgument("a message that is not a {}", message->GetTypeName());
  }
  return OkStatus();
}

uint64_t ChunkCount(uint64_t size_bytes) {
  return size_bytes / base::kChunkBytes + (size_bytes % base::kChunkBytes != 0 ? 1 : 0);
}

uint64_t ChunkLength(uint64_t size_bytes, uint64_t index) {
  if (index >= ChunkCount(size_bytes)) return 0;
  return std::min<uint64_t>(base::kChunkBytes, size_bytes - index * base::kChunkBytes);
}

StatusOr<base::BlobKind> BlobKindOf(v1::BlobKindName name) {
  switch (name) {
    case v1::WEIGHTS:
      return base::BlobKind::kWeights;
    case v1::UPDATE:
      return base::BlobKind::kUpdate;
    case v1::GRADIENT:
      return base::BlobKind::kGradient;
    case v1::VALIDATION:
      return base::BlobKind::kValidation;
    case v1::CODE:
      return base::BlobKind::kCode;
    default:
      return InvalidArgument("{} is not a kind of blob", static_cast<int>(name));
  }
}

}  // namespace crowdteach::wire
