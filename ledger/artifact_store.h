// Content-addressed files: each named by its blob digest, whole and verified or not there.
//
//   folder/<hex digest>             a published blob
//   folder/part/<hex digest>        one being received, resumed by 1 MiB chunk after a restart
//   folder/part/tmp-<hex>           one being produced here
//
// Thread-safety: all calls may run on any thread; a Writer belongs to one. One process a folder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/file_io.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

struct BlobName {
  base::BlobKind kind = base::BlobKind::kData;
  base::Hash digest{};
  uint64_t size_bytes = 0;  // as announced; the caller has bounded it
};

class ArtifactStore {
 public:
  // Makes the folder if it is missing (mode 0700).
  static StatusOr<std::unique_ptr<ArtifactStore>> Open(std::string folder);

  class Writer {
   public:
    // How many chunks are there already: the one expected next.
    uint64_t next_chunk() const { return root_.size(); }
    uint64_t chunks() const;  // in all
    // Chunk `index` must be next_chunk() and have its full length (the last: what remains).
    // kInvalidArgument, kFailedPrecondition (another index), kResourceExhausted, kUnavailable.
    Status Write(uint64_t index, std::string_view chunk);
    // Publishes durably. kFailedPrecondition: chunks are missing. kInvalidArgument: the bytes are
    // not the digest's; what was received is removed, begin again.
    Status Finish() &&;

   private:
    friend class ArtifactStore;
    Writer(const ArtifactStore* store, BlobName name) : store_(store), name_(name) {}
    uint64_t ChunkBytes(uint64_t index) const;
    const ArtifactStore* store_;
    BlobName name_;
    FileHandle file_;
    base::RootBuilder root_;
  };

  // Begins or resumes receiving a blob; complete chunks received before are hashed again.
  // kAlreadyExists: published. kFailedPrecondition: another Writer is at it.
  StatusOr<Writer> Receive(const BlobName& name);
  // Drops what was received of a blob, if anything. Not while a Writer is at it.
  Status Forget(const base::Hash& digest);

  // A fresh path on the store's own file system for a file made here, to be given to Adopt.
  std::string TemporaryPath() const;
  // Digests the file and publishes it under that name by renaming it. `path` is then gone.
  StatusOr<BlobName> Adopt(base::BlobKind kind, const std::string& path);
  StatusOr<BlobName> Put(base::BlobKind kind, std::string_view bytes);

  bool Exists(const base::Hash& digest) const;
  std::string Path(const base::Hash& digest) const;
  // For reading. kNotFound.
  StatusOr<FileHandle> Read(const base::Hash& digest) const;
  // Reads the whole blob again and compares. kNotFound, kDataLoss.
  Status Verify(base::BlobKind kind, const base::Hash& digest) const;
  Status Remove(const base::Hash& digest);
  StatusOr<std::vector<base::Hash>> List() const;  // ascending
  // Published blobs, then those being received.
  struct File {
    base::Hash digest{};
    bool published = false;
    uint64_t written_ms = 0;  // wall clock
  };
  StatusOr<std::vector<File>> Files() const;

 private:
  explicit ArtifactStore(std::string folder) : folder_(std::move(folder)) {}
  std::string PartPath(const base::Hash& digest) const;
  Status Publish(const FileHandle& file, const std::string& from, const base::Hash& digest) const;
  std::string folder_;
};

}  // namespace crowdteach::ledger
