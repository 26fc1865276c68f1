#include "ledger/artifact_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

using base::kChunkBytes;

constexpr std::string_view kPartFolder = "part";
constexpr std::string_view kTemporaryPrefix = "tmp-";

Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return SyncParentOf(path);
  if (errno == EEXIST && std::filesystem::is_directory(path)) return OkStatus();
  return ErrnoStatus(errno, path);
}

Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return OkStatus();
  return ErrnoStatus(errno, path);
}

// Files being produced when the last process died are nobody's.
Status RemoveTemporaries(const std::string& folder) {
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator(folder, error)) {
    if (item.path().filename().string().starts_with(kTemporaryPrefix)) {
      CT_RETURN_IF_ERROR(RemoveFile(item.path().string()));
    }
  }
  return error ? ErrnoStatus(error.value(), folder) : OkStatus();
}

uint64_t ChunksOf(uint64_t size_bytes) {
  return size_bytes / kChunkBytes + (size_bytes % kChunkBytes != 0 ? 1 : 0);
}

}  // namespace

uint64_t ArtifactStore::Writer::chunks() const { return ChunksOf(name_.size_bytes); }

uint64_t ArtifactStore::Writer::ChunkBytes(uint64_t index) const {
  return std::min<uint64_t>(kChunkBytes, name_.size_bytes - index * kChunkBytes);
}

Status ArtifactStore::Writer::Write(uint64_t index, std::string_view chunk) {
  const uint64_t next = next_chunk();
  if (index != next || index >= chunks()) {
    return FailedPrecondition("chunk {} of {}: the next one is {} of {}", index,
                              base::Hex(name_.digest), next, chunks());
  }
  if (chunk.size() != ChunkBytes(index)) {
    return InvalidArgument("chunk {} of {} has {} bytes, not {}", index, base::Hex(name_.digest),
                           chunk.size(), ChunkBytes(index));
  }
  // A chunk half written before an error is cut off, so that a retry goes to the same place.
  const std::string path = store_->PartPath(name_.digest);
  const Status written = WriteAll(file_, chunk, path);
  if (!written.ok()) {
    const auto end = static_cast<off_t>(index * kChunkBytes);
    if (ftruncate(file_.fd(), end) != 0 || lseek(file_.fd(), end, SEEK_SET) != end) {
      return ErrnoStatus(errno, fmt::format("{}: after {}", path, Message(written)));
    }
    return written;
  }
  root_.Append(base::LeafHash(chunk));
  return OkStatus();
}

Status ArtifactStore::Writer::Finish() && {
  const std::string part = store_->PartPath(name_.digest);
  if (next_chunk() < chunks()) {
    return FailedPrecondition("{} has {} of {} chunks", base::Hex(name_.digest), next_chunk(),
                              chunks());
  }
  const base::Hash digest = base::BlobDigestOfRoot(name_.kind, name_.size_bytes, root_.Root());
  if (digest != name_.digest) {
    CT_RETURN_IF_ERROR(RemoveFile(part));
    return InvalidArgument("the bytes received for {} {} have the digest {}: send it again",
                           base::BlobKindName(name_.kind), base::Hex(name_.digest),
                           base::Hex(digest));
  }
  return store_->Publish(file_, part, name_.digest);
}

StatusOr<std::unique_ptr<ArtifactStore>> ArtifactStore::Open(std::string folder) {
  std::unique_ptr<ArtifactStore> store(new ArtifactStore(std::move(folder)));
  const std::string part = fmt::format("{}/{}", store->folder_, kPartFolder);
  CT_RETURN_IF_ERROR(MakeFolder(store->folder_));
  CT_RETURN_IF_ERROR(MakeFolder(part));
  CT_RETURN_IF_ERROR(RemoveTemporaries(part));
  return store;
}

StatusOr<ArtifactStore::Writer> ArtifactStore::Receive(const BlobName& name) {
  if (Exists(name.digest)) {
    return absl::AlreadyExistsError(fmt::format("{} is here already", base::Hex(name.digest)));
  }
  const std::string path = PartPath(name.digest);
  Writer writer(this, name);
  CT_ASSIGN_OR_RETURN(writer.file_, OpenFile(path, O_RDWR | O_CREAT));
  if (flock(writer.file_.fd(), LOCK_EX | LOCK_NB) != 0) {
    return FailedPrecondition("{} is being received already", base::Hex(name.digest));
  }
  std::string chunk(kChunkBytes, '\0');
  while (writer.next_chunk() < writer.chunks()) {
    const uint64_t index = writer.next_chunk();
    const size_t size = writer.ChunkBytes(index);
    size_t filled = 0;
    while (filled < size) {
      const ssize_t got = read(writer.file_.fd(), chunk.data() + filled, size - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, path);
      if (got == 0) break;
      filled += static_cast<size_t>(got);
    }
    if (filled < size) break;
    writer.root_.Append(base::LeafHash(std::string_view(chunk).substr(0, size)));
  }
  // Drops what follows the last complete chunk, and anything beyond the announced size.
  const auto end =
      static_cast<off_t>(std::min<uint64_t>(writer.next_chunk() * kChunkBytes, name.size_bytes));
  if (ftruncate(writer.file_.fd(), end) != 0 || lseek(writer.file_.fd(), end, SEEK_SET) != end) {
    return ErrnoStatus(errno, path);
  }
  return writer;
}

Status ArtifactStore::Forget(const base::Hash& digest) { return RemoveFile(PartPath(digest)); }

std::string ArtifactStore::TemporaryPath() const {
  return fmt::format("{}/{}/{}{}", folder_, kPartFolder, kTemporaryPrefix,
                     base::Hex(base::RandomBytes(16)));
}

StatusOr<BlobName> ArtifactStore::Adopt(base::BlobKind kind, const std::string& path) {
  BlobName name;
  name.kind = kind;
  CT_ASSIGN_OR_RETURN(const FileHandle file, OpenFile(path, O_RDONLY));
  struct stat info {};
  if (fstat(file.fd(), &info) != 0) return ErrnoStatus(errno, path);
  name.size_bytes = static_cast<uint64_t>(info.st_size);
  CT_ASSIGN_OR_RETURN(name.digest, base::BlobDigestOfFile(kind, path));
  CT_RETURN_IF_ERROR(Publish(file, path, name.digest));
  return name;
}

StatusOr<BlobName> ArtifactStore::Put(base::BlobKind kind, std::string_view bytes) {
  const BlobName name{kind, base::BlobDigest(kind, bytes), bytes.size()};
  if (Exists(name.digest)) return name;
  const std::string path = TemporaryPath();
  const Status put = [&]() -> Status {
    CT_ASSIGN_OR_RETURN(const FileHandle file, OpenFile(path, O_WRONLY | O_CREAT | O_EXCL));
    CT_RETURN_IF_ERROR(WriteAll(file, bytes, path));
    return Publish(file, path, name.digest);
  }();
  if (put.ok()) return name;
  unlink(path.c_str());
  return put;
}

Status ArtifactStore::Publish(const FileHandle& file, const std::string& from,
                              const base::Hash& digest) const {
  CT_RETURN_IF_ERROR(SyncFile(file, from));
  const std::string to = Path(digest);
  if (std::rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus(errno, to);
  return SyncParentOf(to);
}

bool ArtifactStore::Exists(const base::Hash& digest) const {
  return access(Path(digest).c_str(), F_OK) == 0;
}

std::string ArtifactStore::Path(const base::Hash& digest) const {
  return fmt::format("{}/{}", folder_, base::Hex(digest));
}

std::string ArtifactStore::PartPath(const base::Hash& digest) const {
  return fmt::format("{}/{}/{}", folder_, kPartFolder, base::Hex(digest));
}

StatusOr<FileHandle> ArtifactStore::Read(const base::Hash& digest) const {
  return OpenFile(Path(digest), O_RDONLY);
}

Status ArtifactStore::Verify(base::BlobKind kind, const base::Hash& digest) const {
  CT_ASSIGN_OR_RETURN(const base::Hash found, base::BlobDigestOfFile(kind, Path(digest)));
  if (found == digest) return OkStatus();
  return DataLoss("{}: its bytes have the {} digest {}: the file was changed", Path(digest),
                  base::BlobKindName(kind), base::Hex(found));
}

Status ArtifactStore::Remove(const base::Hash& digest) {
  CT_RETURN_IF_ERROR(RemoveFile(Path(digest)));
  return SyncParentOf(Path(digest));
}

StatusOr<std::vector<base::Hash>> ArtifactStore::List() const {
  std::vector<base::Hash> digests;
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator(folder_, error)) {
    const StatusOr<base::Hash> digest = base::HashFromHex(item.path().filename().string());
    if (digest.ok()) digests.push_back(*digest);
  }
  if (error) return ErrnoStatus(error.value(), folder_);
  std::sort(digests.begin(), digests.end());
  return digests;
}

StatusOr<std::vector<ArtifactStore::File>> ArtifactStore::Files() const {
  std::vector<File> files;
  for (const bool published : {true, false}) {
    const std::string folder = published ? folder_ : fmt::format("{}/{}", folder_, kPartFolder);
    std::error_code error;
    for (const auto& item : std::filesystem::directory_iterator(folder, error)) {
      const StatusOr<base::Hash> digest = base::HashFromHex(item.path().filename().string());
      struct stat info {};
      if (!digest.ok() || stat(item.path().c_str(), &info) != 0) continue;  // gone meanwhile
      const auto written_ms = info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1'000'000;
      files.push_back({*digest, published, static_cast<uint64_t>(written_ms)});
    }
    if (error) return ErrnoStatus(error.value(), folder);
  }
  return files;
}

}  // namespace crowdteach::ledger
