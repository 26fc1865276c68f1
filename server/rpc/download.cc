#include "server/rpc/download.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "ledger/file_io.h"
#include "proto/wire/chunks.h"
#include "proto/wire/status.h"

namespace crowdteach::server {
namespace {

StatusOr<std::string> ReadAt(const ledger::FileHandle& file, uint64_t offset, uint64_t length) {
  std::string bytes(length, '\0');
  for (size_t have = 0; have < length;) {
    const ssize_t count =
        ::pread(file.fd(), bytes.data() + have, length - have, static_cast<off_t>(offset + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "cannot read an artifact");
    if (count == 0) return DataLoss("an artifact became shorter while it was read");
    have += static_cast<size_t>(count);
  }
  return bytes;
}

class Download final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  Download(RpcContext* context, ChunkCache* cache) : context_(context), cache_(cache) {}

  // Then chunks follow until the last, or until Finish.
  void Begin(grpc::CallbackServerContext* call, const grpc::ByteBuffer& request) {
    const Status status = Guarded("Download", [&] { return Prepare(*call, request); });
    if (!status.ok()) return Finish(wire::ToGrpc(status));
    SendNext();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client left"));
    ++next_;
    first_ = false;
    if (next_ >= wire::ChunkCount(size_bytes_)) return Finish(grpc::Status::OK);
    SendNext();
  }

  void OnDone() override {
    if (account_.has_value()) context_->transfers.Give(*account_);
    delete this;
  }

 private:
  Status Prepare(const grpc::CallbackServerContext& call, const grpc::ByteBuffer& bytes) {
    v1::DownloadRequest request;
    CT_RETURN_IF_ERROR(wire::DecodeMessage(bytes, &request));
    CT_ASSIGN_OR_RETURN(const uint64_t account, context_->AuthenticateIfShown(call));
    const auto reader = account != 0 ? std::optional(account) : std::nullopt;
    CT_ASSIGN_OR_RETURN(const base::BlobKind kind, wire::BlobKindOf(request.kind()));
    CT_ASSIGN_OR_RETURN(digest_, base::HashFromBytes(request.digest()));
    const StatusOr<uint64_t> campaign = context_->coordinator.CheckRead(reader, kind, digest_);
    // Somebody without an account may read what is public; for the rest he should open a session.
    if (!campaign.ok()) {
      return reader ? campaign.status() : context_->Authenticate(call).status();
    }
    if (!context_->transfers.Take(account)) {
      return ResourceExhausted("{} {} transfers running already; wait for one to end",
                               reader ? fmt::format("account {} has", account)
                                      : std::string("callers without a session have"),
                               TransferSlots::kMaxOfAccount);
    }
    account_ = account;
    CT_ASSIGN_OR_RETURN(file_, context_->coordinator.artifacts().Read(digest_));
    struct stat info = {};
    if (::fstat(file_.fd(), &info) != 0) return ErrnoStatus(errno, "cannot read an artifact");
    size_bytes_ = static_cast<uint64_t>(info.st_size);
    next_ = request.first_chunk();
    if (next_ > 0 && next_ >= wire::ChunkCount(size_bytes_)) {
      return OutOfRange("chunk {} was asked for; the blob has {}", next_,
                        wire::ChunkCount(size_bytes_));
    }
    const uint64_t first_byte = next_ * base::kChunkBytes;
    access_ = {0, reader, kind, digest_, *campaign, first_byte, size_bytes_ - first_byte};
    return OkStatus();
  }

  void SendNext() {
    // The first chunk sent also says the size, so it is not shared.
    if (!first_) {
      if (auto chunk = cache_->Find(digest_, next_)) return Send(*chunk);
    }
    context_->disk.Post([this] {
      const Status status = Guarded("Download", [this] { return ReadNext(); });
      if (!status.ok()) Finish(wire::ToGrpc(status));
    });
  }

  Status ReadNext() {
    const uint64_t length = wire::ChunkLength(size_bytes_, next_);
    if (first_) CT_RETURN_IF_ERROR(context_->coordinator.RecordAccess(access_));
    CT_ASSIGN_OR_RETURN(std::string bytes, ReadAt(file_, next_ * base::kChunkBytes, length));
    grpc::ByteBuffer chunk = wire::EncodeChunk(first_ ? size_bytes_ : 0, std::move(bytes));
    if (!first_) cache_->Put(digest_, next_, chunk);
    Send(chunk);
    return OkStatus();
  }

  // A ByteBuffer copied shares its bytes.
  void Send(const grpc::ByteBuffer& chunk) {
    chunk_ = chunk;
    StartWrite(&chunk_);
  }

  RpcContext* const context_;
  ChunkCache* const cache_;
  std::optional<uint64_t> account_;  // holding a transfer slot
  base::Hash digest_{};
  Access access_;  // recorded before the first chunk goes out
  ledger::FileHandle file_;
  uint64_t size_bytes_ = 0;
  uint64_t next_ = 0;
  bool first_ = true;
  grpc::ByteBuffer chunk_;  // being written
};

}  // namespace

std::optional<grpc::ByteBuffer> ChunkCache::Find(const base::Hash& digest, uint64_t index) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find({digest, index});
  if (found == index_.end()) return std::nullopt;
  items_.splice(items_.begin(), items_, found->second);
  return found->second->chunk;
}

void ChunkCache::Put(const base::Hash& digest, uint64_t index, const grpc::ByteBuffer& chunk) {
  const std::lock_guard lock(mutex_);
  const Key key{digest, index};
  if (index_.contains(key)) return;
  items_.push_front({key, chunk});
  index_[key] = items_.begin();
  if (items_.size() <= capacity_) return;
  index_.erase(items_.back().key);
  items_.pop_back();
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* StartDownload(RpcContext* context, ChunkCache* cache,
                                                          grpc::CallbackServerContext* call,
                                                          const grpc::ByteBuffer* request) {
  auto* download = new Download(context, cache);
  download->Begin(call, *request);
  return download;
}

}  // namespace crowdteach::server
