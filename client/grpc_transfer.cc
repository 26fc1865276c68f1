// Blobs over gRPC: resumed by chunk, verified while they stream.
#include <unistd.h>

#include <utility>

#include "client/grpc_session.h"
#include "proto/base/exit_codes.h"
#include "proto/wire/chunks.h"
#include "proto/wire/status.h"

namespace crowdteach::client {
namespace {

using wire::FromGrpc;

v1::BlobKindName WireKind(base::BlobKind kind) {
  switch (kind) {
    case base::BlobKind::kWeights:
      return v1::WEIGHTS;
    case base::BlobKind::kUpdate:
      return v1::UPDATE;
    case base::BlobKind::kGradient:
      return v1::GRADIENT;
    case base::BlobKind::kValidation:
      return v1::VALIDATION;
    case base::BlobKind::kCode:
      return v1::CODE;
    case base::BlobKind::kData:
      break;
  }
  return v1::BLOB_KIND_NAME_UNSPECIFIED;
}

}  // namespace

Status GrpcSession::Download(base::BlobKind kind, const base::Hash& digest, uint64_t size_bytes,
                             const TransferProgress& progress) {
  if (home_->blobs().Exists(digest)) return OkStatus();
  CT_ASSIGN_OR_RETURN(ledger::ArtifactStore::Writer writer,
                      home_->blobs().Receive({kind, digest, size_bytes}));
  grpc::ClientContext context;
  Authorize(&context);
  const Streaming streaming(this, &context);
  v1::DownloadRequest request;
  request.set_kind(WireKind(kind));
  request.set_digest(base::Bytes(digest));
  request.set_first_chunk(writer.next_chunk());
  uint64_t done_bytes = writer.next_chunk() * base::kChunkBytes;
  wire::StallGuard guard(&context, wire::kStallTimeoutS);
  const auto reader = stub_->Download(&context, request);
  v1::Chunk chunk;
  Status written = OkStatus();
  while (written.ok() && writer.next_chunk() < writer.chunks() && reader->Read(&chunk)) {
    guard.Moved();
    written = writer.Write(writer.next_chunk(), chunk.payload());
    done_bytes += chunk.payload().size();
    if (progress) progress(done_bytes, size_bytes);
  }
  if (writer.next_chunk() == writer.chunks()) {
    context.TryCancel();  // all that was announced is here, whatever else may come
    reader->Finish();
    return std::move(writer).Finish();
  }
  if (!written.ok()) context.TryCancel();
  const Status ended = guard.Explain(FromGrpc(reader->Finish()));
  if (!written.ok()) return written;
  CT_RETURN_IF_ERROR(ended);
  return FromPeer(Unavailable("the coordinator sent {} of {} bytes of a {}", done_bytes, size_bytes,
                              base::BlobKindName(kind)));
}

Status GrpcSession::SendChunks(grpc::ClientWriter<v1::UploadPart>* writer,
                               const v1::UploadHead& head, wire::StallGuard* guard,
                               const TransferProgress& progress) {
  CT_ASSIGN_OR_RETURN(const base::Hash digest, base::HashFromBytes(head.digest()));
  CT_ASSIGN_OR_RETURN(const ledger::FileHandle file, home_->blobs().Read(digest));
  v1::UploadPart part;
  *part.mutable_head() = head;
  if (!writer->Write(part)) return OkStatus();  // Finish knows why
  part.clear_head();
  const uint64_t chunks = wire::ChunkCount(head.size_bytes());
  for (uint64_t index = head.first_chunk(); index < chunks; ++index) {
    const uint64_t offset = index * base::kChunkBytes;
    std::string* payload = part.mutable_payload();
    payload->resize(wire::ChunkLength(head.size_bytes(), index));
    const ssize_t got =
        pread(file.fd(), payload->data(), payload->size(), static_cast<off_t>(offset));
    if (got != static_cast<ssize_t>(payload->size())) {
      return DataLoss("{} is shorter than it was", home_->blobs().Path(digest));
    }
    if (!writer->Write(part)) return OkStatus();
    guard->Moved();
    if (progress) progress(offset + payload->size(), head.size_bytes());
  }
  return OkStatus();
}

Status GrpcSession::Upload(base::BlobKind kind, const base::Hash& digest, uint64_t campaign,
                           uint32_t round, const TransferProgress& progress) {
  v1::UploadHead head;
  head.set_kind(WireKind(kind));
  head.set_digest(base::Bytes(digest));
  head.set_campaign(campaign);
  head.set_round(round);
  {
    CT_ASSIGN_OR_RETURN(const ledger::FileHandle file, home_->blobs().Read(digest));
    head.set_size_bytes(static_cast<uint64_t>(lseek(file.fd(), 0, SEEK_END)));
  }
  {
    v1::GetUploadRequest request;
    *request.mutable_head() = head;
    v1::GetUploadReply reply;
    CT_RETURN_IF_ERROR(Authorized(kCallTimeoutS, [&](grpc::ClientContext* context) {
      return stub_->GetUpload(context, request, &reply);
    }));
    // Of a blob that is there already only the head is sent, for the statement that says so.
    head.set_first_chunk(reply.chunks());
  }
  grpc::ClientContext context;
  Authorize(&context);
  const Streaming streaming(this, &context);
  wire::StallGuard guard(&context, wire::kStallTimeoutS);
  v1::UploadReply reply;
  const auto writer = stub_->Upload(&context, &reply);
  const Status sent = SendChunks(writer.get(), head, &guard, progress);
  if (!sent.ok()) {
    context.TryCancel();
    writer->Finish();
    return sent;
  }
  writer->WritesDone();
  CT_RETURN_IF_ERROR(guard.Explain(FromGrpc(writer->Finish())));
  CT_ASSIGN_OR_RETURN(const v1::Statement statement,
                      TakeStatement(reply.statement(), head.digest()));
  if (statement.kind() == v1::UPLOAD_COMPLETE) return OkStatus();
  return FromPeer(FailedPrecondition("the upload was refused: {}", statement.reason()));
}

}  // namespace crowdteach::client
