#include "client/home.h"

#include <filesystem>
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

}  // namespace

Home::Home(ledger::KeyHome home, std::unique_ptr<ledger::ArtifactStore> blobs)
    : home_(std::move(home)), blobs_(std::move(blobs)) {}

Home::~Home() = default;

StatusOr<std::unique_ptr<Home>> Home::Open(const std::string& path) {
  CT_ASSIGN_OR_RETURN(ledger::KeyHome home, ledger::KeyHome::Open(path));
  for (const char* folder : {"/receipts", "/statements", "/evidence", "/rounds"}) {
    CT_RETURN_IF_ERROR(ledger::MakePrivateFolder(path + folder));
  }
  CT_ASSIGN_OR_RETURN(auto blobs, ledger::ArtifactStore::Open(path + "/blobs"));
  return std::unique_ptr<Home>(new Home(std::move(home), std::move(blobs)));
}

Status Home::SaveInvite(std::string_view text) {
  return base::WriteFileDurably(home_.path() + "/invite.toml", text, kPrivate);
}

StatusOr<std::string> Home::LoadInvite() const {
  return base::ReadFile(home_.path() + "/invite.toml", kSmallFileBytes);
}

Status Home::SavePending(const std::optional<v1::SignedIntent>& intent) {
  const std::string path = home_.path() + "/pending";
  if (intent.has_value()) {
    return base::WriteFileDurably(path, ledger::Encode(*intent), kPrivate);
  }
  std::error_code error;
  std::filesystem::remove(path, error);
  return error ? ErrnoStatus(error.value(), path) : OkStatus();
}

StatusOr<std::optional<v1::SignedIntent>> Home::LoadPending() const {
  StatusOr<std::string> bytes = base::ReadFile(home_.path() + "/pending", kSmallFileBytes);
  if (absl::IsNotFound(bytes.status())) return std::optional<v1::SignedIntent>();
  CT_RETURN_IF_ERROR(bytes.status());
  CT_ASSIGN_OR_RETURN(v1::SignedIntent intent, ledger::Decode<v1::SignedIntent>(*bytes));
  return std::optional<v1::SignedIntent>(std::move(intent));
}

Status Home::SaveHead(std::string_view note) {
  return base::WriteFileDurably(home_.path() + "/head", note, kPrivate);
}

StatusOr<std::string> Home::LoadHead() const {
  StatusOr<std::string> note = base::ReadFile(home_.path() + "/head", kSmallFileBytes);
  if (absl::IsNotFound(note.status())) return std::string();
  return note;
}

std::string Home::ReceiptPath(uint64_t index) const {
  return fmt::format("{}/receipts/{:08}.proof", home_.path(), index);
}

bool Home::HasReceipt(uint64_t index) const { return std::filesystem::exists(ReceiptPath(index)); }

Status Home::SaveReceipt(uint64_t index, std::string_view receipt) {
  return base::WriteFileDurably(ReceiptPath(index), receipt, kPrivate);
}

Status Home::SaveStatement(const v1::SignedStatement& statement, v1::StatementKind kind,
                           std::string_view subject) {
  const std::string name = fmt::format("{}.{}", base::Hex(subject), ledger::StatementName(kind));
  return base::WriteFileDurably(home_.path() + "/statements/" + name, ledger::Encode(statement),
                                kPrivate);
}

Status Home::SaveEvidence(const std::string& name, std::string_view bytes) {
  return base::WriteFileDurably(home_.path() + "/evidence/" + name, bytes, kPrivate);
}

std::string Home::RoundPath(uint64_t campaign, uint32_t round) const {
  return fmt::format("{}/rounds/{}-{}", home_.path(), campaign, round);
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
