#include "client/home.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <utility>

#include "ledger/canonical.h"
#include "ledger/receipt.h"
#include "ledger/statement.h"
#include "proto/base/bytes.h"
#include "proto/base/file.h"
#include "proto/base/home_folder.h"

namespace crowdteach::client {
namespace {

constexpr mode_t kPrivate = 0600;
constexpr size_t kSmallFileBytes = size_t{256} << 10;
constexpr size_t kSaltBytes = 32;

Status RemoveIfThere(const std::string& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  return error ? ErrnoStatus(error.value(), path) : OkStatus();
}

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

StatusOr<std::unique_ptr<Home>> Home::Look(const std::string& path) {
  CT_ASSIGN_OR_RETURN(ledger::KeyHome home, ledger::KeyHome::Look(path));
  return std::unique_ptr<Home>(new Home(std::move(home), nullptr));
}

Status Home::Write(const std::string& name, std::string_view bytes, const std::string* seen) {
  const std::string file = path() + "/" + name;
  const auto write = [&] {
    return bytes.empty() ? RemoveIfThere(file) : base::WriteFileDurably(file, bytes, kPrivate);
  };
  if (!looking()) return write();
  if (!home_.TryLock()) return OkStatus();
  // What is shown is true though it cannot be kept.
  const bool same = seen == nullptr || base::ReadFile(file, kSmallFileBytes).value_or("") == *seen;
  const Status ignored = same ? write() : OkStatus();
  home_.Unlock();
  return OkStatus();
}

Status Home::Keep(const std::string& path, std::string_view bytes) const {
  const std::string suffix = looking() ? fmt::format(".tmp-{}", getpid()) : ".tmp";
  return base::WriteFileDurably(path, bytes, kPrivate, suffix);
}

Status Home::SaveInvite(std::string_view text) { return Write("invite.toml", text); }

Status Home::SaveServer(const std::string& address) {
  return Write("server", address.empty() ? "" : address + "\n");
}

Status Home::SaveAddresses(const std::vector<std::string>& addresses) {
  std::string text;
  for (const std::string& address : addresses) text += address + "\n";
  return Write("addresses", text);
}

StatusOr<std::vector<std::string>> Home::LoadAddresses() const {
  std::vector<std::string> addresses;
  for (const char* name : {"/server", "/addresses"}) {
    const StatusOr<std::string> text = base::ReadFile(path() + name, kSmallFileBytes);
    if (absl::IsNotFound(text.status())) continue;
    CT_RETURN_IF_ERROR(text.status());
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) addresses.push_back(line);
  }
  return addresses;
}

Status Home::SaveFetched(uint64_t next_index) {
  return Write("fetched", fmt::format("{}\n", next_index));
}

StatusOr<uint64_t> Home::LoadFetched() const {
  const std::string file = path() + "/fetched";
  const StatusOr<std::string> text = base::ReadFile(file, kSmallFileBytes);
  if (absl::IsNotFound(text.status())) return 0;
  CT_RETURN_IF_ERROR(text.status());
  uint64_t index = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), index);
  if (error == std::errc() && std::string_view(end) == "\n") return index;
  return DataLoss("{} does not hold a number; remove it, and it is made anew", file);
}

StatusOr<std::string> Home::LoadInvite() const {
  return base::ReadFile(path() + "/invite.toml", kSmallFileBytes);
}

Status Home::SavePending(const std::optional<v1::SignedIntent>& intent) {
  return Write("pending", intent.has_value() ? ledger::Encode(*intent) : "");
}

StatusOr<std::optional<v1::SignedIntent>> Home::LoadPending() const {
  StatusOr<std::string> bytes = base::ReadFile(path() + "/pending", kSmallFileBytes);
  if (absl::IsNotFound(bytes.status())) return std::optional<v1::SignedIntent>();
  CT_RETURN_IF_ERROR(bytes.status());
  StatusOr<v1::SignedIntent> intent = ledger::Decode<v1::SignedIntent>(*bytes);
  const Status whole =
      intent.ok() ? ledger::DecodeIntent(intent->payload()).status() : intent.status();
  if (!whole.ok()) {
    return Unavailable(
        "{}/pending is damaged ({}). It held an act whose fate is not known; remove the file, and "
        "see with crowdteach receipts whether the act is on the ledger",
        path(), Message(whole));
  }
  return std::optional<v1::SignedIntent>(*std::move(intent));
}

Status Home::SaveHead(std::string_view note) {
  // Somebody else may have saved a newer one since.
  const std::string seen = std::exchange(head_, std::string(note));
  return Write("head", note, looking() ? &seen : nullptr);
}

Status Home::DamagedHead(std::string_view how) const {
  return Unavailable(
      "{}/head is damaged ({}). It is the newest head of the log that was seen here, against which "
      "every other is proven: restore it, or remove it, and the one in your newest receipt stands "
      "in for it",
      path(), how);
}

StatusOr<std::string> Home::LoadHead() {
  StatusOr<std::string> note = base::ReadFile(path() + "/head", kSmallFileBytes);
  head_ = note.value_or("");
  if (!absl::IsNotFound(note.status())) {
    if (note.ok() && note->empty()) return DamagedHead("it is empty");
    return note;
  }
  // Lost, or there was none yet: the newest receipt has one, too.
  std::string newest;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(path() + "/receipts", error)) {
    if (file.path().extension() == ".proof") newest = std::max(newest, file.path().string());
  }
  if (error) return ErrnoStatus(error.value(), path() + "/receipts");
  if (newest.empty()) return std::string();
  CT_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(newest, kSmallFileBytes));
  CT_ASSIGN_OR_RETURN(const ledger::ReceiptParts receipt, ledger::ParseReceipt(text));
  return receipt.checkpoint;
}

std::string Home::ReceiptPath(uint64_t index) const {
  return fmt::format("{}/receipts/{:08}.proof", path(), index);
}

bool Home::HasReceipt(uint64_t index) const { return std::filesystem::exists(ReceiptPath(index)); }

Status Home::SaveReceipt(uint64_t index, std::string_view receipt) {
  return Keep(ReceiptPath(index), receipt);
}

Status Home::SaveStatement(const v1::SignedStatement& statement, v1::StatementKind kind,
                           std::string_view subject) {
  const std::string name = fmt::format("{}.{}", base::Hex(subject), ledger::StatementName(kind));
  return Keep(path() + "/statements/" + name, ledger::Encode(statement));
}

Status Home::SaveEvidence(const std::string& name, std::string_view bytes) {
  return Keep(path() + "/evidence/" + name, bytes);
}

std::string Home::RoundPath(uint64_t campaign, uint32_t round) const {
  return fmt::format("{}/rounds/{}-{}", path(), campaign, round);
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
