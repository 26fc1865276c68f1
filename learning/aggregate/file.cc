#include "learning/aggregate/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace crowdteach::learning {

StatusOr<File> File::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, path);
  return File(fd, path);
}

StatusOr<File> File::Create(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, path);
  return File(fd, path);
}

File::File(File&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) close(fd_);
}

StatusOr<uint64_t> File::SizeBytes() const {
  struct stat info {};
  if (fstat(fd_, &info) != 0) return ErrnoStatus(errno, path_);
  return static_cast<uint64_t>(info.st_size);
}

Status File::ReadAt(uint64_t offset_bytes, void* bytes, size_t size) const {
  auto* to = static_cast<char*>(bytes);
  while (size > 0) {
    const ssize_t got = pread(fd_, to, size, static_cast<off_t>(offset_bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, path_);
    if (got == 0)
      return DataLoss("{} ends at byte {}, {} more were expected", path_, offset_bytes, size);
    to += got;
    offset_bytes += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return OkStatus();
}

Status File::WriteAt(uint64_t offset_bytes, const void* bytes, size_t size) const {
  const auto* from = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t put = pwrite(fd_, from, size, static_cast<off_t>(offset_bytes));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus(errno, path_);
    from += put;
    offset_bytes += static_cast<uint64_t>(put);
    size -= static_cast<size_t>(put);
  }
  return OkStatus();
}

Status File::Resize(uint64_t size_bytes) const {
  if (ftruncate(fd_, static_cast<off_t>(size_bytes)) != 0) return ErrnoStatus(errno, path_);
  return OkStatus();
}

Status File::Sync() const {
  if (fsync(fd_) != 0) return ErrnoStatus(errno, path_);
  return OkStatus();
}

}  // namespace crowdteach::learning
