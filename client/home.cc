#include "client/home.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "ledger/canonical.h"
#include "ledger/statement.h"
#include "proto/base/bytes.h"
#include "proto/base/file.h"
#include "proto/base/home_folder.h"

namespace crowdteach::client {
namespace {

constexpr mode_t kPrivate = 0600;
constexpr size_t kSmallFileBytes = size_t{256} << 10;
constexpr size_t kSaltBytes = 32;

Status MakeFolder(const std::string& path) {
  return mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? OkStatus() : ErrnoStatus(errno, path);
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
  constexpr const char* kOurs[] = {"lock", "key"};
  CT_RETURN_IF_ERROR(base::MakeHome(path, kOurs));
  for (const char* folder : {"/receipts", "/statements", "/evidence", "/rounds"}) {
    CT_RETURN_IF_ERROR(MakeFolder(path + folder));
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

StatusOr<std::string> Home::LoadInvite() const {
  return base::ReadFile(path_ + "/invite.toml", kSmallFileBytes);
}

Status Home::SavePending(const std::optional<v1::SignedIntent>& intent) {
  const std::string path = path_ + "/pending";
  if (intent.has_value()) {
    return base::WriteFileDurably(path, ledger::Encode(*intent), kPrivate);
  }
  std::error_code error;
  std::filesystem::remove(path, error);
  return error ? ErrnoStatus(error.value(), path) : OkStatus();
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
