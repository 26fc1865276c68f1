#include "server/access_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <utility>

#include "proto/base/bytes.h"
#include "server/access.h"

namespace crowdteach::server {
namespace {

constexpr size_t kMaxLineBytes = 256;

std::optional<uint64_t> NumberOf(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<base::BlobKind> KindNamed(std::string_view name) {
  for (const base::BlobKind kind : kServedKinds) {
    if (name == base::BlobKindName(kind)) return kind;
  }
  return std::nullopt;
}

// Bytes up to the end of the last whole line.
StatusOr<uint64_t> WholeBytes(const ledger::FileHandle& file, const std::string& path) {
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) return ErrnoStatus(errno, path);
  auto end = static_cast<uint64_t>(info.st_size);
  std::array<char, kMaxLineBytes> tail{};
  const uint64_t from = end > tail.size() ? end - tail.size() : 0;
  const ssize_t got = ::pread(file.fd(), tail.data(), tail.size(), static_cast<off_t>(from));
  if (got < 0) return ErrnoStatus(errno, path);
  const std::string_view seen(tail.data(), static_cast<size_t>(got));
  const size_t last = seen.rfind('\n');
  if (last != std::string_view::npos) return from + last + 1;
  if (from == 0) return uint64_t{0};
  return DataLoss("{}: it does not end in lines of a coordinator's; move it away", path);
}

}  // namespace

std::string FormatAccess(const Access& access) {
  return fmt::format("{} {} {} {} {} {} {}", access.time_ms,
                     access.account ? fmt::format("{}", *access.account) : "-",
                     base::BlobKindName(access.kind), base::Hex(access.digest), access.campaign,
                     access.first_byte, access.bytes);
}

StatusOr<Access> ParseAccess(std::string_view line) {
  std::array<std::string_view, 7> fields;
  std::string_view rest = line;
  for (std::string_view& field : fields) {
    const size_t end = std::min(rest.find(' '), rest.size());
    field = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const auto time = NumberOf(fields[0]);
  const auto account = NumberOf(fields[1]);
  const auto kind = KindNamed(fields[2]);
  const auto digest = base::HashFromHex(fields[3]);
  const auto campaign = NumberOf(fields[4]);
  const auto first = NumberOf(fields[5]);
  const auto bytes = NumberOf(fields[6]);
  if (time && kind && digest.ok() && campaign && first && bytes) {
    const Access access{*time, account, *kind, *digest, *campaign, *first, *bytes};
    if (FormatAccess(access) == line) return access;
  }
  return InvalidArgument("{} is not a line of an access record", base::Quoted(line));
}

StatusOr<std::unique_ptr<AccessLog>> AccessLog::Open(const std::string& path) {
  CT_ASSIGN_OR_RETURN(ledger::FileHandle file, ledger::OpenFile(path, O_RDWR | O_CREAT, 0600));
  CT_ASSIGN_OR_RETURN(const uint64_t size, WholeBytes(file, path));
  if (::ftruncate(file.fd(), static_cast<off_t>(size)) != 0 ||
      ::lseek(file.fd(), 0, SEEK_END) < 0) {
    return ErrnoStatus(errno, path);
  }
  CT_RETURN_IF_ERROR(ledger::SyncParentOf(path));
  return std::unique_ptr<AccessLog>(new AccessLog(path, std::move(file), size));
}

Status AccessLog::Append(const Access& access) {
  const std::string line = FormatAccess(access) + "\n";
  const std::lock_guard lock(mutex_);
  Status written = ledger::WriteAll(file_, line, path_);
  if (written.ok() && ::fdatasync(file_.fd()) != 0) written = ErrnoStatus(errno, path_);
  if (written.ok()) {
    size_ += line.size();
    return OkStatus();
  }
  // Half a line must not stand before the next one.
  if (::ftruncate(file_.fd(), static_cast<off_t>(size_)) != 0 ||
      ::lseek(file_.fd(), static_cast<off_t>(size_), SEEK_SET) < 0) {
    return Annotate(ErrnoStatus(errno, path_), Message(written));
  }
  return written;
}

Status ReadAccesses(const std::string& path, const std::function<Status(const Access&)>& visit) {
  std::ifstream file(path);
  if (!file) return ErrnoStatus(errno, path);
  std::string line;
  for (uint64_t number = 1; std::getline(file, line) && !file.eof(); ++number) {
    const StatusOr<Access> access = ParseAccess(line);
    if (!access.ok()) return DataLoss("{}:{}: {}", path, number, Message(access.status()));
    CT_RETURN_IF_ERROR(visit(*access));
  }
  return file.bad() ? Unavailable("{}: cannot be read", path) : OkStatus();
}

}  // namespace crowdteach::server
