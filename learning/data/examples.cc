#include "learning/data/examples.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "learning/data/memory.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/base/digest.h"

namespace crowdteach::learning {
namespace {

static_assert(std::endian::native == std::endian::little, "float32 features are little-endian");

constexpr size_t kBufferBytes = base::kChunkBytes;
constexpr char kZeroSalt[kSaltBytes] = {};

// The first value that is not finite, or -1.
int64_t FirstNonFinite(std::string_view features) {
  for (size_t i = 0; i + 4 <= features.size(); i += 4) {
    float value = 0;
    std::memcpy(&value, features.data() + i, sizeof value);
    if (!std::isfinite(value)) return static_cast<int64_t>(i / 4);
  }
  return -1;
}

}  // namespace

ExampleFormat::ExampleFormat(const v1::DataTerms& terms)
    : features(1),
      value_bytes(terms.feature_type() == v1::FLOAT32 ? 4 : 1),
      classes(static_cast<uint32_t>(terms.classes_size())) {
  for (const uint32_t dimension : terms.input_shape()) features *= dimension;
}

ExamplesFile::ExamplesFile(int fd, const ExampleFormat& format, std::string name)
    : fd_(fd), format_(format), name_(std::move(name)) {}

ExamplesFile::ExamplesFile(ExamplesFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      format_(other.format_),
      name_(std::move(other.name_)),
      data_(std::exchange(other.data_, nullptr)),
      count_(std::exchange(other.count_, 0)) {}

ExamplesFile& ExamplesFile::operator=(ExamplesFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(format_, other.format_);
  std::swap(name_, other.name_);
  std::swap(data_, other.data_);
  std::swap(count_, other.count_);
  return *this;
}

ExamplesFile::~ExamplesFile() {
  if (data_ != nullptr) munmap(const_cast<char*>(data_), count_ * format_.record_bytes());
  if (fd_ >= 0) close(fd_);
}

StatusOr<ExamplesFile> ExamplesFile::Open(const std::string& path, const v1::DataTerms& terms) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, path);
  return FromFd(fd, terms, path);
}

StatusOr<ExamplesFile> ExamplesFile::FromFd(int fd, const v1::DataTerms& terms, std::string name) {
  ExamplesFile file(fd, ExampleFormat(terms), std::move(name));
  CT_RETURN_IF_ERROR(file.Map());
  CT_RETURN_IF_ERROR(file.CheckRecords());
  return file;
}

Status ExamplesFile::Map() {
  struct stat info {};
  if (fstat(fd_, &info) != 0) return ErrnoStatus(errno, name_);
  const auto size = static_cast<uint64_t>(info.st_size);
  const uint64_t record = format_.record_bytes();
  if (size == 0 || size % record != 0) {
    return InvalidArgument(
        "{}: {} bytes are not one or more records of {} bytes ({} features of {} byte each): it is "
        "cut short or made for other terms",
        name_, size, record, format_.features, format_.value_bytes);
  }
  void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_, 0);
  if (data == MAP_FAILED) return ErrnoStatus(errno, name_);
  data_ = static_cast<const char*>(data);
  count_ = size / record;
  return OkStatus();
}

Status ExamplesFile::CheckRecords() const {
  for (uint64_t i = 0; i < count_; ++i) {
    if (label(i) >= format_.classes) {
      return InvalidArgument("{}: record {}: label {} is not below {}, the number of classes",
                             name_, i, label(i), format_.classes);
    }
    if (format_.value_bytes != 4) continue;
    if (const int64_t at = FirstNonFinite(features(i)); at >= 0) {
      return InvalidArgument("{}: record {}: feature {} is not a finite number", name_, i, at);
    }
  }
  return OkStatus();
}

std::string_view ExamplesFile::bytes() const { return {data_, count_ * format_.record_bytes()}; }

std::string_view ExamplesFile::record(uint64_t i) const {
  CT_ASSERT(i < count_);
  return {data_ + i * format_.record_bytes(), format_.record_bytes()};
}

std::string_view ExamplesFile::salt(uint64_t i) const { return record(i).substr(0, kSaltBytes); }

uint32_t ExamplesFile::label(uint64_t i) const {
  return base::ReadU32(record(i).data() + kSaltBytes);
}

std::string_view ExamplesFile::features(uint64_t i) const {
  return record(i).substr(kSaltBytes + 4);
}

ExamplesWriter::ExamplesWriter(int fd, std::string path, const v1::DataTerms& terms,
                               std::string name)
    : fd_(fd),
      path_(std::move(path)),
      format_(terms),
      name_(std::move(name)),
      most_bytes_(path_.empty() ? FreeMemoryBytes() : UINT64_MAX) {}

ExamplesWriter::ExamplesWriter(ExamplesWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      format_(other.format_),
      name_(std::move(other.name_)),
      buffer_(std::move(other.buffer_)),
      count_(other.count_),
      most_bytes_(other.most_bytes_) {}

ExamplesWriter::~ExamplesWriter() {
  if (fd_ < 0) return;
  close(fd_);
  if (!path_.empty()) unlink(path_.c_str());
}

StatusOr<ExamplesWriter> ExamplesWriter::InMemory(const v1::DataTerms& terms, std::string name) {
  const int fd = memfd_create("examples", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return ErrnoStatus(errno, name);
  return ExamplesWriter(fd, "", terms, std::move(name));
}

StatusOr<ExamplesWriter> ExamplesWriter::Create(const std::string& path,
                                                const v1::DataTerms& terms) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, path);
  return ExamplesWriter(fd, path, terms, path);
}

Status ExamplesWriter::Append(uint32_t label, std::string_view features) {
  return Append({kZeroSalt, kSaltBytes}, label, features);
}

Status ExamplesWriter::Append(std::string_view salt, uint32_t label, std::string_view features) {
  if (salt.size() != kSaltBytes || features.size() != format_.feature_bytes()) {
    return InvalidArgument(
        "{}: record {}: a salt of {} and features of {} bytes; must be {} and {}", name_, count_,
        salt.size(), features.size(), kSaltBytes, format_.feature_bytes());
  }
  if (label >= format_.classes) {
    return InvalidArgument("{}: record {}: label {} is not below {}, the number of classes", name_,
                           count_, label, format_.classes);
  }
  if (const int64_t at = format_.value_bytes == 4 ? FirstNonFinite(features) : -1; at >= 0) {
    return InvalidArgument("{}: record {}: feature {} is not a finite number", name_, count_, at);
  }
  buffer_ += salt;
  base::AppendU32(buffer_, label);
  buffer_ += features;
  ++count_;
  return buffer_.size() < kBufferBytes ? OkStatus() : Flush();
}

Status ExamplesWriter::Expect(uint64_t count) const {
  if (count <= most_bytes_ / format_.record_bytes()) return OkStatus();
  return ResourceExhausted(
      "{}: {} examples of {} bytes are more than the {} MiB of memory that are free here: use a "
      "part of them",
      name_, count, format_.record_bytes(), most_bytes_ >> 20);
}

Status ExamplesWriter::Flush() {
  CT_RETURN_IF_ERROR(Expect(count_));
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t wrote = write(fd_, rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoStatus(errno, name_);
    rest.remove_prefix(static_cast<size_t>(wrote));
  }
  buffer_.clear();
  return OkStatus();
}

StatusOr<ExamplesFile> ExamplesWriter::Finish() && {
  if (count_ == 0) return InvalidArgument("{}: no example in it", name_);
  CT_RETURN_IF_ERROR(Flush());
  if (path_.empty()) {
    // Not F_SEAL_WRITE: it is refused (EBUSY) while the kernel happens to hold a page. Nobody has
    // it mapped for writing, so forbidding writes from now on is as good.
    constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    if (fcntl(fd_, F_ADD_SEALS, kSeals) != 0) {
      return ErrnoStatus(errno, name_);
    }
  } else if (fsync(fd_) != 0) {
    return ErrnoStatus(errno, name_);
  }
  // A failed Map closes the descriptor; the file on disk is then still removed here.
  const int fd = dup(fd_);
  if (fd < 0) return ErrnoStatus(errno, name_);
  ExamplesFile file(fd, format_, name_);
  CT_RETURN_IF_ERROR(file.Map());
  close(std::exchange(fd_, -1));
  return file;
}

}  // namespace crowdteach::learning
