// A file read and written at offsets; move only, closes itself. Reads and writes at different
// places may run at once.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "proto/base/status.h"

namespace crowdteach::learning {

class File {
 public:
  // kNotFound, kPermissionDenied, kResourceExhausted, kUnavailable.
  static StatusOr<File> Open(const std::string& path);    // to read
  static StatusOr<File> Create(const std::string& path);  // empty, to write and read

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const std::string& path() const { return path_; }
  StatusOr<uint64_t> SizeBytes() const;
  // All of it or an error. kDataLoss: the file ends before.
  Status ReadAt(uint64_t offset_bytes, void* bytes, size_t size) const;
  Status WriteAt(uint64_t offset_bytes, const void* bytes, size_t size) const;
  Status Resize(uint64_t size_bytes) const;  // grows with zeros
  Status Sync() const;  // the content survives a power failure (its name may not)

 private:
  File(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_ = -1;
  std::string path_;
};

}  // namespace crowdteach::learning
