#include "ledger/bundle_fault.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <string>

#include "ledger/canonical.h"
#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

using google::protobuf::internal::WireFormatLite;

// Takes one field off the front of an entry, as far as an entry has such a field.
struct Field {
  int number = 0;
  std::string bytes;  // of a length-delimited one
};

std::optional<Field> TakeField(google::protobuf::io::CodedInputStream& in) {
  Field field;
  const uint32_t tag = in.ReadTag();
  field.number = WireFormatLite::GetTagFieldNumber(tag);
  if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_VARINT) {
    uint64_t value = 0;
    if (!in.ReadVarint64(&value)) return std::nullopt;
    return field;
  }
  uint32_t size = 0;
  if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED ||
      !in.ReadVarint32(&size) || size > kMaxEntryBytes ||
      !in.ReadString(&field.bytes, static_cast<int>(size))) {
    return std::nullopt;
  }
  return field;
}

// Fields ascend, so what is not to be read behind field `last` is the one after it.
std::string_view PartAfter(int last) {
  constexpr std::string_view kParts[] = {"encoding", "prev",     "time",
                                         "intent",   "postings", "postings"};
  return last >= 0 && last <= 5 ? kParts[last] : "encoding";
}

// The name of the part if this field alone is not what an entry may hold.
std::string_view FaultyPart(const Field& field) {
  if (field.number == 2 && field.bytes.size() != 32) return "prev";
  if (field.number == 4) {
    const StatusOr<v1::SignedIntent> intent = Decode<v1::SignedIntent>(field.bytes);
    if (!intent.ok() || intent->signature().size() != 64 || !DecodeIntent(intent->payload()).ok()) {
      return "intent";
    }
  }
  if (field.number == 5 && !Decode<v1::Posting>(field.bytes).ok()) return "postings";
  return "";
}

BundleFault CheckpointFault(std::string_view reason) {
  return {"checkpoint", "", std::string(reason)};
}

BundleFault SignatureFault(size_t number, std::string_view reason) {
  return {fmt::format("signature {}", number), "", std::string(reason)};
}

// The note does not parse: it is a signature's fault if everything before that one is as it must
// be.
BundleFault FaultOfUnparsed(std::string_view note, const std::string& text, const Status& status) {
  if (!note.starts_with(text + "\n")) return CheckpointFault(Message(status));
  std::string_view block = note.substr(text.size() + 1);
  size_t number = 0;
  while (true) {
    const size_t end = block.find('\n');
    if (end == std::string_view::npos ||
        !ParseNote(fmt::format("{}\n{}", text, block.substr(0, end + 1))).ok()) {
      return SignatureFault(number, Message(status));
    }
    block.remove_prefix(end + 1);
    ++number;
  }
}

// A validly signed checkpoint that says something else than the entries do.
BundleFault FaultOfClaim(const Checkpoint& claimed, const Checkpoint& computed) {
  if (claimed.origin != computed.origin) {
    return CheckpointFault(fmt::format("it is of the log \"{}\"", claimed.origin));
  }
  if (claimed.size != computed.size) {
    return {"header", "",
            fmt::format("it counts {} entries, the log signed {}", computed.size, claimed.size)};
  }
  if (computed.size == 0) return CheckpointFault("it claims a root for an empty log");
  // Every entry but the last is held by the prev of its successor, the last by the root alone.
  return {
      fmt::format("entry {}", computed.size - 1), "time",
      fmt::format("the entries have the root {}, the log signed {}: the last entry is not the one "
                  "it signed",
                  base::Hex(computed.root), base::Hex(claimed.root))};
}

}  // namespace

std::string_view PartOfUndecodable(std::string_view bytes, bool next_is_whole) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  int last = 0;
  while (static_cast<size_t>(in.CurrentPosition()) < bytes.size()) {
    const size_t begin = static_cast<size_t>(in.CurrentPosition());
    const std::optional<Field> field = TakeField(in);
    // A whole entry and something after it, or one that is cut off: its length was changed.
    if (!next_is_whole && DecodeEntry(bytes.substr(0, begin)).ok()) return "length";
    if (!field) return next_is_whole ? PartAfter(last) : "length";
    if (field->number < std::max(last, 1) || field->number > 5) return PartAfter(last);
    if (const std::string_view part = FaultyPart(*field); !part.empty()) return part;
    last = field->number;
  }
  // Each field is sound by itself: what is left are rules across postings, or an absent field.
  v1::Entry entry;
  if (!Decode(bytes, &entry).ok()) return "encoding";
  if (entry.time_ms() == 0) return "time";
  if (entry.prev().empty()) return "prev";
  if (!entry.has_intent()) return next_is_whole ? "intent" : "length";
  return last == 5 ? "postings" : "intent";
}

std::optional<BundleFault> FaultOfNote(std::string_view bytes, const VerifierKey& log,
                                       const Checkpoint& computed) {
  const std::string text = CheckpointText(computed);
  const StatusOr<Note> note = ParseNote(bytes);
  if (!note.ok()) return FaultOfUnparsed(bytes, text, note.status());
  for (size_t i = 0; i < note->signatures.size(); ++i) {
    const NoteSignature& signature = note->signatures[i];
    if (signature.name != log.name || signature.key_id != log.key_id) {
      return SignatureFault(i, "it is not of the log's key");
    }
    if (!Verify(log.public_key, note->text, signature.signature)) {
      return note->text == text ? SignatureFault(i, "it is not valid")
                                : CheckpointFault("its text is not what the log signed");
    }
  }
  if (note->signatures.size() > 1) return SignatureFault(1, "the log signs once");
  if (note->text == text) return std::nullopt;
  const StatusOr<Checkpoint> claimed = ParseCheckpointText(note->text);
  if (!claimed.ok()) return CheckpointFault(Message(claimed.status()));
  return FaultOfClaim(*claimed, computed);
}

}  // namespace crowdteach::ledger
