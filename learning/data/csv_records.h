// Splits CSV (RFC 4180) into records, strictly. Call Next until it says false. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "learning/data/byte_source.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

inline constexpr size_t kMaxFieldBytes = size_t{1} << 20;

class CsvRecords {
 public:
  explicit CsvRecords(ByteSource source);

  // Reads one record of at most `most_fields` fields; false at the end of the file.
  // kInvalidArgument: "‹file›:‹line›: …": a stray quote or carriage return, an unclosed quote, text
  // after a closing quote, a field or record too long; else as ByteSource.
  StatusOr<bool> Next(std::vector<std::string>* fields, size_t most_fields);

  const std::string& name() const { return source_.name(); }
  uint64_t line() const { return record_line_; }  // where the last record starts, from 1

 private:
  enum class End { kField, kRecord, kFile };

  StatusOr<int> Peek();  // the next byte, or -1 at the end
  int Take();            // what Peek showed, and moves on
  StatusOr<End> ReadField(std::string* field);
  Status ReadQuoted(std::string* field);
  StatusOr<End> ReadEnd();
  Status Error(uint64_t line, std::string_view what) const;

  ByteSource source_;
  std::string buffer_;
  size_t begin_ = 0;  // of what is left in buffer_
  size_t end_ = 0;
  bool started_ = false;
  uint64_t line_ = 1;
  uint64_t record_line_ = 1;
};

}  // namespace crowdteach::learning
