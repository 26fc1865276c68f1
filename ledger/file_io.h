// Files that must survive a crash: whole and durable, or not there.
//
// Thread-safety: pure functions over the file system; a FileHandle belongs to one thread.
// Every error is ErrnoStatus (proto/base/status.h) with the path in front.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "proto/base/status.h"

namespace crowdteach::ledger {

// An open file descriptor, closed at the end of its life.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int fd) : fd_(fd) {}
  ~FileHandle() { Close(); }
  FileHandle(FileHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int fd() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }  // the caller closes it
  void Close();

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC.
StatusOr<FileHandle> OpenFile(const std::string& path, int flags, unsigned mode = 0600);
Status WriteAll(const FileHandle& file, std::string_view bytes, const std::string& path);
Status SyncFile(const FileHandle& file, const std::string& path);
// Makes the creation, renaming or removal of `path` itself durable.
Status SyncParentOf(const std::string& path);

// Replaces `path` by `bytes` through a temporary file beside it: write, fsync, rename, fsync of the
// folder. A reader sees the old content or the new one.
Status WriteFileAtomically(const std::string& path, std::string_view bytes);
// Sets room on the disk aside for the next WriteFileAtomically to `path` of at most `size_bytes`,
// so that it does not fail for want of it. kResourceExhausted, kNotFound, …
Status ReserveForWrite(const std::string& path, size_t size_bytes);

// The whole file. kInvalidArgument: longer than `max_bytes`.
StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);
// From where `file` stands to its end.
StatusOr<std::string> ReadFile(const FileHandle& file, const std::string& path, size_t max_bytes);

}  // namespace crowdteach::ledger
