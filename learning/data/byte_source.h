// Reads a plain or gzip file, bytes in memory, or whatever a function gives, forward; the callers
// bound what they ask for, and no more than that is ever inflated. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::learning {

class ByteSource {
 public:
  // Gzip if it starts 1f 8b. kNotFound, kPermissionDenied, kUnavailable.
  static StatusOr<ByteSource> Open(const std::string& path);
  // `bytes` must outlive the source.
  static StatusOr<ByteSource> FromMemory(std::string_view bytes, std::string name);

  // Gives up to `size` bytes, none at the end.
  using Reader = std::function<StatusOr<size_t>(char* out, size_t size)>;
  // What `read` gives as it stands, never taken for gzip.
  static ByteSource FromReader(Reader read, std::string name);

  ByteSource(ByteSource&&) noexcept;
  ~ByteSource();

  // Up to `size` bytes; fewer only at the end. kInvalidArgument: corrupt or cut gzip, the message
  // names the compressed byte. kUnavailable: read error.
  StatusOr<size_t> ReadSome(char* out, size_t size);
  // All of `size`. kInvalidArgument also: the file ends first.
  Status Read(char* out, size_t size);
  // kInvalidArgument unless nothing is left.
  Status ExpectEnd();

  const std::string& name() const;
  uint64_t position() const;  // bytes read so far, of the inflated content

 private:
  struct Impl;
  explicit ByteSource(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace crowdteach::learning
