#include "ledger/audit/fetch_trust.h"

#include <filesystem>
#include <utility>

#include "ledger/audit/replay.h"
#include "proto/base/file.h"
#include "proto/wire/certificates.h"

namespace crowdteach::audit {
namespace {

constexpr mode_t kPrivate = 0600;

Status ReadInviteOf(const TrustOptions& options, Trust* trust) {
  std::string path = options.invite_path;
  if (path.empty()) {
    if (!trust->home) return OkStatus();
    path = trust->home->path() + "/invite.toml";
    if (!std::filesystem::exists(path)) return OkStatus();
  }
  CT_ASSIGN_OR_RETURN(trust->invite_text, base::ReadFile(path, wire::kMaxInviteBytes));
  CT_ASSIGN_OR_RETURN(trust->invite, wire::ParseInvite(trust->invite_text, path));
  trust->invite_is_new = !options.invite_path.empty();
  const Status ca = wire::CaDigest(trust->invite->ca_pem).status();
  if (!ca.ok()) return InvalidArgument("{}: ca: {}", path, Message(ca));
  StatusOr<ledger::VerifierKey> key = ledger::ParseVkey(trust->invite->log_vkey);
  if (!key.ok()) return InvalidArgument("{}: log_vkey: {}", path, Message(key.status()));
  trust->key = *std::move(key);
  return OkStatus();
}

}  // namespace

StatusOr<Trust> FindTrust(const TrustOptions& options) {
  Trust trust;
  if (!options.home.empty()) {
    CT_ASSIGN_OR_RETURN(trust.home, ledger::KeyHome::Open(options.home));
  }
  CT_RETURN_IF_ERROR(ReadInviteOf(options, &trust));
  if (!options.key.empty()) {
    CT_ASSIGN_OR_RETURN(ledger::VerifierKey key, PinnedKey(options.key));
    if (trust.key && FormatVkey(*trust.key) != FormatVkey(key)) {
      return InvalidArgument("--key is {}, the invite's key is {}: they are of two logs",
                             FormatVkey(key), FormatVkey(*trust.key));
    }
    trust.key = std::move(key);
  }
  if (!options.address.empty()) {
    trust.addresses = {options.address};
  } else if (trust.invite) {
    trust.addresses = trust.invite->web_addresses;
    if (trust.addresses.empty()) {
      return InvalidArgument(
          "the invite names no HTTPS address for auditors; give it: fetch HOST:PORT");
    }
  } else {
    return InvalidArgument(
        "where from? Give the coordinator's HTTPS port (HOST:PORT), or --invite FILE");
  }
  return trust;
}

Status KeepInvite(const Trust& trust) {
  if (!trust.home || !trust.invite_is_new) return OkStatus();
  return base::WriteFileDurably(trust.home->path() + "/invite.toml", trust.invite_text, kPrivate);
}

StatusOr<std::string> LoadHead(const ledger::KeyHome& home) {
  StatusOr<std::string> note = base::ReadFile(home.path() + "/head", ledger::kMaxNoteBytes);
  if (absl::IsNotFound(note.status())) return std::string();
  return note;
}

Status SaveHead(const ledger::KeyHome& home, const std::string& note) {
  return base::WriteFileDurably(home.path() + "/head", note, kPrivate);
}

Status SaveReceipt(const ledger::KeyHome& home, uint64_t index, const std::string& receipt) {
  CT_RETURN_IF_ERROR(ledger::MakePrivateFolder(home.path() + "/receipts"));
  return base::WriteFileDurably(fmt::format("{}/receipts/{:08}.proof", home.path(), index), receipt,
                                kPrivate);
}

}  // namespace crowdteach::audit
