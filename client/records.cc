#include "client/records.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include "ledger/canonical.h"
#include "ledger/checkpoint.h"
#include "ledger/receipt.h"
#include "ledger/signature.h"
#include "proto/base/file.h"

namespace crowdteach::client {
namespace {

constexpr size_t kMaxFileBytes = size_t{512} << 10;

// "00000017.proof" → 17.
std::optional<uint64_t> IndexOfName(const std::string& name) {
  uint64_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc() || std::string_view(end) != ".proof") return std::nullopt;
  return index;
}

StatusOr<ledger::LoggedEntry> OpenReceipt(const std::string& text,
                                          const std::optional<ledger::VerifierKey>& log) {
  if (log.has_value()) {
    CT_ASSIGN_OR_RETURN(ledger::VerifiedReceipt verified, ledger::VerifyReceipt(text, *log));
    return std::move(verified.entry);
  }
  CT_ASSIGN_OR_RETURN(const ledger::ReceiptParts parts, ledger::ParseReceipt(text));
  return ledger::DecodeEntry(parts.entry);
}

KeptReceipt ReadReceipt(uint64_t index, const std::string& path,
                        const std::optional<ledger::VerifierKey>& log) {
  KeptReceipt kept{index, path, OkStatus(), {}};
  const StatusOr<std::string> text = base::ReadFile(path, kMaxFileBytes);
  StatusOr<ledger::LoggedEntry> entry =
      text.ok() ? OpenReceipt(*text, log) : StatusOr<ledger::LoggedEntry>(text.status());
  if (!entry.ok()) {
    kept.fault = entry.status();
  } else if (entry->entry.index() != index) {
    kept.fault = DataLoss("it is of entry {}", entry->entry.index());
  } else {
    kept.entry = *std::move(entry);
  }
  return kept;
}

Status ReadReceipts(const std::optional<ledger::VerifierKey>& log, Records* records) {
  std::error_code error;
  const std::string folder = records->home + "/receipts";
  for (const auto& item : std::filesystem::directory_iterator(folder, error)) {
    const auto index = IndexOfName(item.path().filename().string());
    if (!index.has_value()) continue;
    records->receipts.push_back(ReadReceipt(*index, item.path().string(), log));
  }
  if (error) return ErrnoStatus(error.value(), folder);
  std::sort(records->receipts.begin(), records->receipts.end(),
            [](const KeptReceipt& a, const KeptReceipt& b) { return a.index < b.index; });
  return OkStatus();
}

// Whether an entry shows that nothing can be done with a round's update any more.
bool Ends(const ledger::LoggedEntry& logged, const PendingRound& round) {
  const v1::Intent& intent = logged.intent;
  if (CampaignOf(logged) != round.campaign) return false;
  if (intent.has_campaign_close() || intent.has_release() || intent.has_refund()) return true;
  const uint32_t number = RoundOf(intent);
  const bool last = intent.has_settle() || intent.has_round_abort() || intent.has_update_reject();
  return number > round.round || (last && number == round.round);
}

// The rounds/ folder, whose files are named ‹campaign›-‹round›.
Status ReadRounds(Records* records) {
  std::error_code error;
  const std::string folder = records->home + "/rounds";
  for (const auto& item : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = item.path().filename().string();
    PendingRound round;
    const char* end = name.data() + name.size();
    const auto campaign = std::from_chars(name.data(), end, round.campaign);
    if (campaign.ec != std::errc() || campaign.ptr == end || *campaign.ptr != '-') continue;
    const auto number = std::from_chars(campaign.ptr + 1, end, round.round);
    if (number.ec != std::errc() || number.ptr != end) continue;
    bool over = false;
    for (const ledger::LoggedEntry* logged : records->Entries()) {
      over = over || Ends(*logged, round);
      const v1::UpdateCommit& commit = logged->intent.update_commit();
      const v1::UpdateReveal& reveal = logged->intent.update_reveal();
      const auto same = [&](const auto& body) {
        return body.campaign() == round.campaign && body.round() == round.round;
      };
      if (same(commit)) round.committed = logged->entry.index();
      if (same(reveal)) round.revealed = logged->entry.index();
    }
    (over ? records->over : records->rounds).push_back(round);
  }
  if (error) return ErrnoStatus(error.value(), folder);
  std::sort(records->rounds.begin(), records->rounds.end(),
            [](const PendingRound& a, const PendingRound& b) {
              return std::pair(a.campaign, a.round) < std::pair(b.campaign, b.round);
            });
  return OkStatus();
}

// "" if the file is not there.
StatusOr<std::string> ReadIfThere(const std::string& path) {
  StatusOr<std::string> text = base::ReadFile(path, kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return std::string();
  return text;
}

}  // namespace

std::vector<const ledger::LoggedEntry*> Records::Entries() const {
  std::vector<const ledger::LoggedEntry*> entries;
  for (const KeptReceipt& kept : receipts) {
    if (kept.fault.ok()) entries.push_back(&kept.entry);
  }
  return entries;
}

const ledger::LoggedEntry* Records::Account() const {
  for (const ledger::LoggedEntry* logged : Entries()) {
    if (logged->intent.account_open().key() == public_key) return logged;
  }
  return nullptr;
}

uint64_t CampaignOf(const ledger::LoggedEntry& logged) {
  const v1::Intent& intent = logged.intent;
  if (intent.has_campaign_open()) return logged.entry.index();
  return intent.enrol().campaign() + intent.campaign_close().campaign() +
         intent.release().campaign() + intent.refund().campaign() + intent.round_open().campaign() +
         intent.update_commit().campaign() + intent.round_commit_close().campaign() +
         intent.update_reveal().campaign() + intent.update_reject().campaign() +
         intent.aggregate().campaign() + intent.score().campaign() + intent.settle().campaign() +
         intent.round_abort().campaign();  // all but one are 0
}

uint32_t RoundOf(const v1::Intent& intent) {
  return intent.round_open().round() + intent.update_commit().round() +
         intent.round_commit_close().round() + intent.update_reveal().round() +
         intent.update_reject().round() + intent.aggregate().round() + intent.score().round() +
         intent.settle().round() + intent.round_abort().round();
}

StatusOr<Records> ReadRecords(const std::string& home,
                              const std::optional<ledger::VerifierKey>& log) {
  Records records;
  records.home = home;
  CT_ASSIGN_OR_RETURN(const ledger::SigningKey key, ledger::SigningKey::Load(home + "/key"));
  records.public_key = key.public_key();
  CT_RETURN_IF_ERROR(ReadReceipts(log, &records));
  CT_RETURN_IF_ERROR(ReadRounds(&records));
  CT_ASSIGN_OR_RETURN(const std::string pending, ReadIfThere(home + "/pending"));
  if (!pending.empty()) {
    CT_ASSIGN_OR_RETURN(const auto sealed, ledger::Decode<v1::SignedIntent>(pending));
    CT_ASSIGN_OR_RETURN(records.pending, ledger::DecodeIntent(sealed.payload()));
  }
  CT_ASSIGN_OR_RETURN(const std::string head, ReadIfThere(home + "/head"));
  if (!head.empty() && log.has_value()) {
    CT_ASSIGN_OR_RETURN(const ledger::Checkpoint seen, ledger::OpenCheckpoint(head, *log));
    records.log_size = seen.size;
  }
  CT_ASSIGN_OR_RETURN(const std::string fetched, ReadIfThere(home + "/fetched"));
  std::from_chars(fetched.data(), fetched.data() + fetched.size(), records.fetched);
  return records;
}

}  // namespace crowdteach::client
