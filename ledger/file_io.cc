#include "ledger/file_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace crowdteach::ledger {

void FileHandle::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

StatusOr<FileHandle> OpenFile(const std::string& path, int flags, unsigned mode) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return ErrnoStatus(errno, path);
  return FileHandle(fd);
}

Status WriteAll(const FileHandle& file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(file.fd(), bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoStatus(errno, path);
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return OkStatus();
}

Status SyncFile(const FileHandle& file, const std::string& path) {
  return fsync(file.fd()) == 0 ? OkStatus() : ErrnoStatus(errno, path);
}

Status SyncParentOf(const std::string& path) {
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (parent.empty()) parent = ".";
  CT_ASSIGN_OR_RETURN(const FileHandle folder, OpenFile(parent.string(), O_RDONLY | O_DIRECTORY));
  return SyncFile(folder, parent.string());
}

Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".new";
  const Status written = [&]() -> Status {
    // Not O_TRUNC, which would give back what was set aside.
    CT_ASSIGN_OR_RETURN(const FileHandle file, OpenFile(temporary, O_WRONLY | O_CREAT));
    CT_RETURN_IF_ERROR(WriteAll(file, bytes, temporary));
    if (ftruncate(file.fd(), static_cast<off_t>(bytes.size())) != 0) {
      return ErrnoStatus(errno, temporary);
    }
    CT_RETURN_IF_ERROR(SyncFile(file, temporary));
    if (std::rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, path);
    return OkStatus();
  }();
  if (!written.ok()) {
    unlink(temporary.c_str());
    return written;
  }
  return SyncParentOf(path);
}

Status ReserveForWrite(const std::string& path, size_t size_bytes) {
  const std::string temporary = path + ".new";
  CT_ASSIGN_OR_RETURN(const FileHandle file, OpenFile(temporary, O_WRONLY | O_CREAT));
  const int error = posix_fallocate(file.fd(), 0, static_cast<off_t>(size_bytes));
  return error == 0 ? OkStatus() : ErrnoStatus(error, temporary);
}

StatusOr<std::string> ReadFile(const FileHandle& file, const std::string& path, size_t max_bytes) {
  std::string bytes;
  while (true) {
    const size_t filled = bytes.size();
    if (filled > max_bytes) return InvalidArgument("{}: longer than {} bytes", path, max_bytes);
    bytes.resize(filled + std::min<size_t>(max_bytes + 1 - filled, size_t{1} << 16));
    const ssize_t got = read(file.fd(), bytes.data() + filled, bytes.size() - filled);
    const int error = errno;
    bytes.resize(filled + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && error == EINTR) continue;
    if (got < 0) return ErrnoStatus(error, path);
    if (got == 0) return bytes;
  }
}

StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  CT_ASSIGN_OR_RETURN(const FileHandle file, OpenFile(path, O_RDONLY));
  return ReadFile(file, path, max_bytes);
}

}  // namespace crowdteach::ledger
