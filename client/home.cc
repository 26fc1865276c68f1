#include "client/home.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <utility>

#include "ledger/canonical.h"
#include "ledger/statement.h"
#include "proto/base/bytes.h"
#include "proto/base/file.h"

namespace crowdteach::client {
namespace {

constexpr mode_t kPrivate = 0600;
constexpr size_t kSmallFileBytes = size_t{256} << 10;
constexpr size_t kSaltBytes = 32;

Status MakePrivateFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(errno, path);
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISDIR(info.st_mode)) return Unavailable("{} is not a directory", path);
  if ((info.st_mode & 077) == 0) return OkStatus();
  return PermissionDenied("{} holds a secret key but others may enter it; run: chmod 700 {}", path,
                          path);
}

Status RemoveIfThere(const std::string& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  return error ? ErrnoStatus(error.value(), path) : OkStatus();
}

StatusOr<ledger::SigningKey> LoadOrMakeKey(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    CT_RETURN_IF_ERROR(ledger::SigningKey::Generate().Save(path));
  }
  return ledger::SigningKey::Load(path);
}

}  // namespace

Home::Home(std::string path, int lock, ledger::SigningKey key,
           std::unique_ptr<ledger::ArtifactStore> blobs)
    : path_(std::move(path)), lock_(lock), key_(std::move(key)), blobs_(std::move(blobs)) {}

Home::~Home() { close(lock_); }

StatusOr<std::unique_ptr<Home>> Home::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::absolute(path).parent_path(), error);
  CT_RETURN_IF_ERROR(MakePrivateFolder(path));
  for (const char* folder : {"/receipts", "/statements", "/evidence", "/rounds"}) {
    CT_RETURN_IF_ERROR(MakePrivateFolder(path + folder));
  }
  const int lock = open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kPrivate);
  if (lock < 0) return ErrnoStatus(errno, path + "/lock");
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    close(lock);
    return Unavailable(
        "another crowdteach is using {}; one key is one person: wait for it, "
        "or pass another --home",
        path);
  }
  StatusOr<ledger::SigningKey> key = LoadOrMakeKey(path + "/key");
  StatusOr<std::unique_ptr<ledger::ArtifactStore>> blobs =
      ledger::ArtifactStore::Open(path + "/blobs");
  if (!key.ok() || !blobs.ok()) {
    close(lock);
    return key.ok() ? blobs.status() : key.status();
  }
  return std::unique_ptr<Home>(new Home(path, lock, *std::move(key), *std::move(blobs)));
}

Status Home::SaveInvite(std::string_view text) {
  return base::WriteFileDurably(path_ + "/invite.toml", text, kPrivate);
}

Status Home::SaveServer(const std::string& address) {
  if (address.empty()) return RemoveIfThere(path_ + "/server");
  return base::WriteFileDurably(path_ + "/server", address + "\n", kPrivate);
}

Status Home::SaveAddresses(const std::vector<std::string>& addresses) {
  if (addresses.empty()) return RemoveIfThere(path_ + "/addresses");
  std::string text;
  for (const std::string& address : addresses) text += address + "\n";
  return base::WriteFileDurably(path_ + "/addresses", text, kPrivate);
}

StatusOr<std::vector<std::string>> Home::LoadAddresses() const {
  std::vector<std::string> addresses;
  for (const char* name : {"/server", "/addresses"}) {
    const StatusOr<std::string> text = base::ReadFile(path_ + name, kSmallFileBytes);
    if (absl::IsNotFound(text.status())) continue;
    CT_RETURN_IF_ERROR(text.status());
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) addresses.push_back(line);
  }
  return addresses;
}

Status Home::SaveFetched(uint64_t next_index) {
  return base::WriteFileDurably(path_ + "/fetched", fmt::format("{}\n", next_index), kPrivate);
}

StatusOr<uint64_t> Home::LoadFetched() const {
  const std::string path = path_ + "/fetched";
  const StatusOr<std::string> text = base::ReadFile(path, kSmallFileBytes);
  if (absl::IsNotFound(text.status())) return 0;
  CT_RETURN_IF_ERROR(text.status());
  uint64_t index = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), index);
  if (error == std::errc() && std::string_view(end) == "\n") return index;
  return DataLoss("{} does not hold a number; remove it, and it is made anew", path);
}

StatusOr<std::string> Home::LoadInvite() const {
  return base::ReadFile(path_ + "/invite.toml", kSmallFileBytes);
}

Status Home::SavePending(const std::optional<v1::SignedIntent>& intent) {
  const std::string path = path_ + "/pending";
  if (intent.has_value()) {
    return base::WriteFileDurably(path, ledger::Encode(*intent), kPrivate);
  }
  return RemoveIfThere(path);
}

StatusOr<std::optional<v1::SignedIntent>> Home::LoadPending() const {
  StatusOr<std::string> bytes = base::ReadFile(path_ + "/pending", kSmallFileBytes);
  if (absl::IsNotFound(bytes.status())) return std::optional<v1::SignedIntent>();
  CT_RETURN_IF_ERROR(bytes.status());
  CT_ASSIGN_OR_RETURN(v1::SignedIntent intent, ledger::Decode<v1::SignedIntent>(*bytes));
  return std::optional<v1::SignedIntent>(std::move(intent));
}

Status Home::SaveHead(std::string_view note) {
  return base::WriteFileDurably(path_ + "/head", note, kPrivate);
}

StatusOr<std::string> Home::LoadHead() const {
  StatusOr<std::string> note = base::ReadFile(path_ + "/head", kSmallFileBytes);
  if (absl::IsNotFound(note.status())) return std::string();
  return note;
}

std::string Home::ReceiptPath(uint64_t index) const {
  return fmt::format("{}/receipts/{:08}.proof", path_, index);
}

bool Home::HasReceipt(uint64_t index) const { return std::filesystem::exists(ReceiptPath(index)); }

Status Home::SaveReceipt(uint64_t index, std::string_view receipt) {
  return base::WriteFileDurably(ReceiptPath(index), receipt, kPrivate);
}

Status Home::SaveStatement(const v1::SignedStatement& statement, v1::StatementKind kind,
                           std::string_view subject) {
  const std::string name = fmt::format("{}.{}", base::Hex(subject), ledger::StatementName(kind));
  return base::WriteFileDurably(path_ + "/statements/" + name, ledger::Encode(statement), kPrivate);
}

Status Home::SaveEvidence(const std::string& name, std::string_view bytes) {
  return base::WriteFileDurably(path_ + "/evidence/" + name, bytes, kPrivate);
}

std::string Home::RoundPath(uint64_t campaign, uint32_t round) const {
  return fmt::format("{}/rounds/{}-{}", path_, campaign, round);
}

Status Home::SaveRound(const PreparedRound& round) {
  return base::WriteFileDurably(RoundPath(round.campaign, round.round),
                                base::Bytes(round.update) + round.salt, kPrivate);
}

StatusOr<std::optional<PreparedRound>> Home::LoadRound(uint64_t campaign, uint32_t round) const {
  const std::string path = RoundPath(campaign, round);
  StatusOr<std::string> bytes = base::ReadFile(path, kSmallFileBytes);
  if (absl::IsNotFound(bytes.status())) return std::optional<PreparedRound>();
  CT_RETURN_IF_ERROR(bytes.status());
  PreparedRound prepared{campaign, round, {}, {}};
  if (bytes->size() != prepared.update.size() + kSaltBytes) {
    return DataLoss("{} has {} bytes, not {}", path, bytes->size(),
                    prepared.update.size() + kSaltBytes);
  }
  CT_ASSIGN_OR_RETURN(prepared.update,
                      base::HashFromBytes(bytes->substr(0, prepared.update.size())));
  prepared.salt = bytes->substr(prepared.update.size());
  return std::optional<PreparedRound>(std::move(prepared));
}

Status Home::ForgetRound(uint64_t campaign, uint32_t round) {
  CT_ASSIGN_OR_RETURN(const std::optional<PreparedRound> prepared, LoadRound(campaign, round));
  if (!prepared.has_value()) return OkStatus();
  std::error_code error;
  std::filesystem::remove(RoundPath(campaign, round), error);
  if (error) return ErrnoStatus(error.value(), RoundPath(campaign, round));
  if (!blobs_->Exists(prepared->update)) return OkStatus();
  return blobs_->Remove(prepared->update);
}

}  // namespace crowdteach::client
