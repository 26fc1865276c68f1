// The one form of a data set, in memory and on disk: an *examples file*, records without header of
//
//   salt(16) ‖ u32 big-endian label ‖ raw features (u8, or float32 little-endian)
//
// Features stand before normalisation, row-major in the shape of DataTerms.input_shape; a record's
// size follows from the terms. Training data has zero salts; a validation set has random ones, so
// that nobody guesses a record from its Merkle leaf. The worker gets this same file as a file
// descriptor, and the validation commitment (validation.h) covers it.
//
// ExamplesFile is a read-only mapping: any number of threads may read it. The file behind a path
// must not be truncated while it is open (SIGBUS); one in memory is sealed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

inline constexpr size_t kSaltBytes = 16;

// What a record looks like. The terms must have passed ledger::ValidateTerms.
struct ExampleFormat {
  uint64_t features = 0;     // values of one example: the product of input_shape
  uint64_t value_bytes = 1;  // 1 (u8) or 4 (float32)
  uint32_t classes = 0;

  explicit ExampleFormat(const v1::DataTerms& terms);
  uint64_t feature_bytes() const { return features * value_bytes; }
  uint64_t record_bytes() const { return kSaltBytes + 4 + feature_bytes(); }
};

class ExamplesFile {
 public:
  // Maps the file and checks every record: label below the class count, float32 finite.
  // kInvalidArgument: a size that is no multiple of the record, no record, a bad one (its number is
  // named). kNotFound, kPermissionDenied, kUnavailable: the file cannot be read.
  static StatusOr<ExamplesFile> Open(const std::string& path, const v1::DataTerms& terms);
  // The same for an open descriptor, which it takes over (also on error); `name` is for messages.
  static StatusOr<ExamplesFile> FromFd(int fd, const v1::DataTerms& terms, std::string name);

  ExamplesFile(ExamplesFile&& other) noexcept;
  ExamplesFile& operator=(ExamplesFile&& other) noexcept;
  ~ExamplesFile();

  const ExampleFormat& format() const { return format_; }
  const std::string& name() const { return name_; }
  uint64_t count() const { return count_; }
  // i < count(), else an assertion.
  uint32_t label(uint64_t i) const;
  std::string_view features(uint64_t i) const;  // feature_bytes(), aligned for float
  std::string_view salt(uint64_t i) const;
  std::string_view record(uint64_t i) const;
  std::string_view bytes() const;  // the whole file
  int fd() const { return fd_; }   // stays ours; read-only use, for passing to the worker

 private:
  friend class ExamplesWriter;
  ExamplesFile(int fd, const ExampleFormat& format, std::string name);
  Status Map();
  Status CheckRecords() const;

  int fd_ = -1;
  ExampleFormat format_;
  std::string name_;
  const char* data_ = nullptr;
  uint64_t count_ = 0;
};

// Writes an examples file record by record; Append any number of times, then Finish once. Dropped
// before Finish, an unfinished file on disk is removed. Not thread-safe.
class ExamplesWriter {
 public:
  // An anonymous file in memory (memfd), sealed by Finish. kUnavailable.
  static StatusOr<ExamplesWriter> InMemory(const v1::DataTerms& terms, std::string name);
  // A new file, mode 0600. kAlreadyExists, kNotFound, kPermissionDenied, kUnavailable.
  static StatusOr<ExamplesWriter> Create(const std::string& path, const v1::DataTerms& terms);

  ExamplesWriter(ExamplesWriter&& other) noexcept;
  ExamplesWriter& operator=(ExamplesWriter&& other) = delete;
  ~ExamplesWriter();

  // kResourceExhausted unless there is memory for so many examples: to be asked of a count that a
  // file announces, before it is believed.
  Status Expect(uint64_t count) const;
  // kInvalidArgument: wrong sizes, a label out of range, a float that is not finite.
  // kResourceExhausted: the disk is full, or the examples take more memory than is free, which is
  // noticed before it runs out. kUnavailable: the write failed.
  Status Append(std::string_view salt, uint32_t label, std::string_view features);
  Status Append(uint32_t label, std::string_view features);  // zero salt
  uint64_t count() const { return count_; }
  // Writes what is buffered (durably for a file on disk) and opens it for reading.
  // kInvalidArgument: nothing was appended.
  StatusOr<ExamplesFile> Finish() &&;

 private:
  ExamplesWriter(int fd, std::string path, const v1::DataTerms& terms, std::string name);
  Status Flush();

  int fd_ = -1;
  std::string path_;  // empty: in memory
  ExampleFormat format_;
  std::string name_;
  std::string buffer_;
  uint64_t count_ = 0;
  uint64_t most_bytes_ = 0;
};

}  // namespace crowdteach::learning
