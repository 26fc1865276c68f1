// Who fetched which blob: the operator's record of every download, on either port.
//
// ‹home›/accesses, append-only text, a line a fetch, durable before its first byte goes out:
//
//   ‹ms since 1970› ‹account, or - for anybody› ‹kind› ‹digest, hex› ‹campaign› ‹first byte›
//   ‹bytes›
//
// A fetch that was broken off and resumed has a line for each part. `bytes` is what was asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/file_io.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::server {

struct Access {
  uint64_t time_ms = 0;
  std::optional<uint64_t> account;  // none: somebody without a session, of a public blob
  base::BlobKind kind = base::BlobKind::kData;
  base::Hash digest{};
  uint64_t campaign = 0;  // by whose terms it was read
  uint64_t first_byte = 0;
  uint64_t bytes = 0;
  bool operator==(const Access&) const = default;
};

std::string FormatAccess(const Access& access);  // without the line's end
// kInvalidArgument: not what FormatAccess writes.
StatusOr<Access> ParseAccess(std::string_view line);

// Thread-safety: any thread. One process a file.
class AccessLog {
 public:
  // Makes the file (mode 0600) if it is missing; drops a last line that a crash cut short, whose
  // fetch never began. Errors of the file.
  static StatusOr<std::unique_ptr<AccessLog>> Open(const std::string& path);

  // Durably, before it returns. kResourceExhausted (disk full), kUnavailable: nothing was recorded.
  Status Append(const Access& access);

 private:
  AccessLog(std::string path, ledger::FileHandle file, uint64_t size)
      : path_(std::move(path)), file_(std::move(file)), size_(size) {}
  const std::string path_;
  std::mutex mutex_;
  ledger::FileHandle file_;
  uint64_t size_;  // of its whole lines
};

// Visits the record in order, also while a coordinator writes it; stops at `visit`'s first error.
// kNotFound: nothing was ever recorded there. kDataLoss: a line that AccessLog did not write.
Status ReadAccesses(const std::string& path, const std::function<Status(const Access&)>& visit);

}  // namespace crowdteach::server
