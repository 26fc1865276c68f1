#include "ledger/receipt.h"

#include <optional>

#include "ledger/canonical.h"
#include "ledger/merkle.h"
#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

constexpr std::string_view kHeader = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kExtra = "extra ";
constexpr std::string_view kIndex = "index ";
constexpr size_t kMaxProofHashes = 64;  // a tree of 2^64 leaves has no longer path
constexpr size_t kMaxReceiptBytes = 2 * kMaxEntryBytes + 64 * 64 + kMaxNoteBytes;

}  // namespace

std::string FormatReceipt(const ReceiptParts& parts) {
  std::string out = fmt::format("{}\n{}{}\n{}{}\n", kHeader, kExtra, base::Base64(parts.entry),
                                kIndex, parts.index);
  for (const base::Hash& hash : parts.proof) out += base::Base64(base::View(hash)) + "\n";
  return out + "\n" + parts.checkpoint;
}

StatusOr<ReceiptParts> ParseReceipt(std::string_view text) {
  if (text.size() > kMaxReceiptBytes) {
    return InvalidArgument("a receipt of {} bytes, at most {} are allowed", text.size(),
                           kMaxReceiptBytes);
  }
  size_t number = 0;
  const auto fault = [&](std::string_view why) {
    return InvalidArgument("line {} of the receipt {}", number, why);
  };
  const auto next_line = [&]() -> std::optional<std::string_view> {
    ++number;
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
  };
  ReceiptParts parts;
  if (next_line() != kHeader) return fault(fmt::format("is not \"{}\"", kHeader));
  std::optional<std::string_view> line = next_line();
  if (!line || !line->starts_with(kExtra)) return fault("does not carry the entry as \"extra\"");
  StatusOr<std::string> entry = base::ParseBase64(line->substr(kExtra.size()));
  if (!entry.ok()) return fault(Message(entry.status()));
  parts.entry = *std::move(entry);
  line = next_line();
  if (!line || !line->starts_with(kIndex)) return fault("is not the index");
  const StatusOr<uint64_t> index = ParseDecimal(line->substr(kIndex.size()));
  if (!index.ok()) return fault(Message(index.status()));
  parts.index = *index;
  while ((line = next_line()) && !line->empty()) {
    if (parts.proof.size() == kMaxProofHashes) return fault("is one inclusion hash too many");
    const StatusOr<std::string> bytes = base::ParseBase64(*line);
    if (!bytes.ok()) return fault(Message(bytes.status()));
    const StatusOr<base::Hash> hash = base::HashFromBytes(*bytes);
    if (!hash.ok()) return fault(Message(hash.status()));
    parts.proof.push_back(*hash);
  }
  if (!line) return fault("should be empty and followed by the checkpoint");
  parts.checkpoint = text;
  return parts;
}

StatusOr<VerifiedReceipt> VerifyReceipt(std::string_view text, const VerifierKey& log) {
  CT_ASSIGN_OR_RETURN(const ReceiptParts parts, ParseReceipt(text));
  VerifiedReceipt receipt;
  CT_ASSIGN_OR_RETURN(receipt.checkpoint, OpenCheckpoint(parts.checkpoint, log));
  CT_ASSIGN_OR_RETURN(receipt.entry, DecodeEntry(parts.entry));
  if (receipt.entry.entry.index() != parts.index) {
    return InvalidArgument("the receipt is for index {}, its entry says {}", parts.index,
                           receipt.entry.entry.index());
  }
  CT_RETURN_IF_ERROR(VerifyInclusion(receipt.entry.leaf, parts.index, receipt.checkpoint.size,
                                     parts.proof, receipt.checkpoint.root));
  return receipt;
}

}  // namespace crowdteach::ledger
