#include "learning/data/csv_records.h"

#include <utility>

#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 16;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

CsvRecords::CsvRecords(ByteSource source)
    : source_(std::move(source)), buffer_(kBufferBytes, '\0') {}

Status CsvRecords::Error(uint64_t line, std::string_view what) const {
  return InvalidArgument("{}:{}: {}", name(), line, what);
}

StatusOr<int> CsvRecords::Peek() {
  if (begin_ == end_) {
    CT_ASSIGN_OR_RETURN(end_, source_.ReadSome(buffer_.data(), buffer_.size()));
    begin_ = 0;
    if (!std::exchange(started_, true) &&
        std::string_view(buffer_.data(), end_).substr(0, 3) == kByteOrderMark) {
      begin_ = kByteOrderMark.size();
      return Peek();
    }
    if (end_ == 0) return -1;
  }
  return static_cast<unsigned char>(buffer_[begin_]);
}

int CsvRecords::Take() {
  CT_ASSERT(begin_ < end_);
  const int c = static_cast<unsigned char>(buffer_[begin_++]);
  if (c == '\n') ++line_;
  return c;
}

// What follows a field: a comma, a line end or the end of the file.
StatusOr<CsvRecords::End> CsvRecords::ReadEnd() {
  CT_ASSIGN_OR_RETURN(const int c, Peek());
  if (c < 0) return End::kFile;
  const uint64_t line = line_;
  Take();
  if (c == ',') return End::kField;
  if (c == '\n') return End::kRecord;
  if (c == '\r') {
    CT_ASSIGN_OR_RETURN(const int next, Peek());
    if (next == '\n') {
      Take();
      return End::kRecord;
    }
    return Error(line, "a carriage return without a line feed after it");
  }
  return Error(line, "text after the closing quote of a field");
}

Status CsvRecords::ReadQuoted(std::string* field) {
  const uint64_t line = line_;
  Take();
  for (;;) {
    CT_ASSIGN_OR_RETURN(const int c, Peek());
    if (c < 0) return Error(line, "the quote that opens here is never closed");
    Take();
    if (c == '"') {
      CT_ASSIGN_OR_RETURN(const int next, Peek());
      if (next != '"') return OkStatus();
      Take();
    }
    if (field->size() == kMaxFieldBytes) return Error(line, "a field is longer than 1 MiB");
    field->push_back(static_cast<char>(c));
  }
}

StatusOr<CsvRecords::End> CsvRecords::ReadField(std::string* field) {
  CT_ASSIGN_OR_RETURN(int c, Peek());
  if (c == '"') {
    CT_RETURN_IF_ERROR(ReadQuoted(field));
    return ReadEnd();
  }
  while (c >= 0 && c != ',' && c != '\n' && c != '\r') {
    if (c == '"') return Error(line_, "a quote inside a field that does not start with one");
    if (field->size() == kMaxFieldBytes) return Error(line_, "a field is longer than 1 MiB");
    field->push_back(static_cast<char>(Take()));
    CT_ASSIGN_OR_RETURN(c, Peek());
  }
  return ReadEnd();
}

StatusOr<bool> CsvRecords::Next(std::vector<std::string>* fields, size_t most_fields) {
  CT_ASSIGN_OR_RETURN(const int first, Peek());
  if (first < 0) return false;
  record_line_ = line_;
  size_t count = 0;
  for (;;) {
    if (count == most_fields) {
      return Error(record_line_, fmt::format("more than {} columns", most_fields));
    }
    // Strings are kept from record to record: no allocation in the steady state.
    if (count == fields->size()) fields->emplace_back();
    std::string& field = (*fields)[count++];
    field.clear();
    CT_ASSIGN_OR_RETURN(const End end, ReadField(&field));
    if (end != End::kField) break;
  }
  fields->resize(count);
  return true;
}

}  // namespace crowdteach::learning
