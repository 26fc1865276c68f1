#include "server/rpc/upload.h"

#include <optional>
#include <string>
#include <utility>

#include "ledger/artifact_store.h"
#include "proto/wire/chunks.h"
#include "proto/wire/status.h"

namespace crowdteach::server {
namespace {

using Writer = ledger::ArtifactStore::Writer;

StatusOr<ledger::BlobName> NameOf(const v1::UploadHead& head) {
  ledger::BlobName name;
  CT_ASSIGN_OR_RETURN(name.kind, wire::BlobKindOf(head.kind()));
  CT_ASSIGN_OR_RETURN(name.digest, base::HashFromBytes(head.digest()));
  name.size_bytes = head.size_bytes();
  return name;
}

// Another stream is at the same blob: this account's own, lost and not yet noticed to be, or
// somebody else's.
Status Busy(RpcContext* context, uint64_t account, const v1::UploadHead& head) {
  context->uploads.Displace(account, head.digest());
  return Unavailable("another upload of this blob was still open; try again");
}

// Not the sender's doing: to be tried again, so no statement is made about it.
bool IsOurFailure(const Status& status) {
  return absl::IsInternal(status) || absl::IsUnavailable(status) || absl::IsDataLoss(status) ||
         absl::IsUnauthenticated(status);
}

class Upload final : public grpc::ServerReadReactor<v1::UploadPart> {
 public:
  Upload(RpcContext* context, grpc::CallbackServerContext* call, v1::UploadReply* reply)
      : context_(context), call_(call), reply_(reply) {}

  void Begin() {
    const Status status = Guarded("Upload", [this]() -> Status {
      CT_ASSIGN_OR_RETURN(const uint64_t account, context_->Authenticate(*call_));
      if (!context_->transfers.Take(account)) {
        return ResourceExhausted("account {} has {} transfers running already; wait for one to end",
                                 account, TransferSlots::kMaxOfAccount);
      }
      account_ = account;
      return OkStatus();
    });
    if (!status.ok()) return Finish(wire::ToGrpc(status));
    StartRead(&part_);
  }

  void OnReadDone(bool ok) override {
    context_->disk.Post([this, ok] {
      bool more = false;
      const Status status = Guarded("Upload", [&] { return ok ? Take(&more) : End(); });
      if (status.ok() && more) return StartRead(&part_);
      writer_.reset();  // lets the next attempt in before this one is answered
      Finish(wire::ToGrpc(status));
    });
  }

  void OnDone() override {
    context_->uploads.Leave(call_);
    if (account_.has_value()) context_->transfers.Give(*account_);
    delete this;
  }

 private:
  // One message. `*more`: read on; else the reply stands.
  Status Take(bool* more) {
    if (part_.has_head() == head_.has_value()) {
      return InvalidArgument("an upload is one head, then payloads");
    }
    if (!head_.has_value()) {
      head_ = part_.head();
      CT_RETURN_IF_ERROR(Open(more));
      if (!*more || part_.payload().empty()) return OkStatus();
    }
    *more = false;
    const uint64_t index = writer_->next_chunk();
    const uint64_t expected = wire::ChunkLength(head_->size_bytes(), index);
    if (part_.payload().size() != expected) {
      return Refuse(InvalidArgument("chunk {} has {} bytes; in a blob of {} it must have {}", index,
                                    part_.payload().size(), head_->size_bytes(), expected));
    }
    CT_RETURN_IF_ERROR(writer_->Write(index, part_.payload()));
    *more = true;
    return OkStatus();
  }

  Status Open(bool* more) {
    const StatusOr<ledger::BlobName> name = NameOf(*head_);
    if (!name.ok()) return name.status();
    const Status allowed = context_->coordinator.CheckUpload(*account_, *head_);
    if (!allowed.ok()) return Refuse(allowed);
    StatusOr<Writer> writer = context_->coordinator.artifacts().Receive(*name);
    if (absl::IsAlreadyExists(writer.status())) return Complete();
    if (absl::IsFailedPrecondition(writer.status())) return Busy(context_, *account_, *head_);
    CT_RETURN_IF_ERROR(writer.status());
    context_->uploads.Enter(call_, *account_, head_->digest());
    if (head_->first_chunk() != writer->next_chunk()) {
      return FailedPrecondition("go on at chunk {}, not {}", writer->next_chunk(),
                                head_->first_chunk());
    }
    writer_.emplace(std::move(*writer));
    *more = true;
    return OkStatus();
  }

  // The client has sent all, or is gone.
  Status End() {
    if (call_->IsCancelled()) return absl::CancelledError("the client left");
    if (!writer_.has_value()) return InvalidArgument("an upload is one head, then payloads");
    if (writer_->next_chunk() < writer_->chunks()) {
      return Refuse(InvalidArgument("the upload ended after {} of {} chunks", writer_->next_chunk(),
                                    writer_->chunks()));
    }
    const Status finished = std::move(*writer_).Finish();
    if (absl::IsInvalidArgument(finished)) return Refuse(finished);
    CT_RETURN_IF_ERROR(finished);
    return Complete();
  }

  Status Refuse(const Status& why) {
    if (IsOurFailure(why)) return why;
    spdlog::info("upload of account {} refused: {}", *account_, Message(why));
    *reply_->mutable_statement() =
        context_->coordinator.State(*account_, v1::UPLOAD_REFUSED, head_->digest(), Message(why));
    return OkStatus();
  }

  Status Complete() {
    context_->coordinator.Uploaded(*head_);
    *reply_->mutable_statement() =
        context_->coordinator.State(*account_, v1::UPLOAD_COMPLETE, head_->digest(), "");
    return OkStatus();
  }

  RpcContext* const context_;
  grpc::CallbackServerContext* const call_;
  v1::UploadReply* const reply_;
  std::optional<uint64_t> account_;  // holding a transfer slot
  v1::UploadPart part_;
  std::optional<v1::UploadHead> head_;
  std::optional<Writer> writer_;
};

}  // namespace

Status AnswerGetUpload(RpcContext* context, uint64_t account, const v1::UploadHead& head,
                       v1::GetUploadReply* reply) {
  CT_ASSIGN_OR_RETURN(const ledger::BlobName name, NameOf(head));
  CT_RETURN_IF_ERROR(context->coordinator.CheckUpload(account, head));
  const StatusOr<Writer> writer = context->coordinator.artifacts().Receive(name);
  if (absl::IsAlreadyExists(writer.status())) {
    reply->set_chunks(wire::ChunkCount(name.size_bytes));
    reply->set_complete(true);
    return OkStatus();
  }
  if (absl::IsFailedPrecondition(writer.status())) return Busy(context, account, head);
  CT_RETURN_IF_ERROR(writer.status());
  reply->set_chunks(writer->next_chunk());
  return OkStatus();
}

grpc::ServerReadReactor<v1::UploadPart>* StartUpload(RpcContext* context,
                                                     grpc::CallbackServerContext* call,
                                                     v1::UploadReply* reply) {
  auto* upload = new Upload(context, call, reply);
  upload->Begin();
  return upload;
}

}  // namespace crowdteach::server
