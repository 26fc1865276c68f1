#include "ledger/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "proto/base/bytes.h"

namespace crowdteach::ledger {

std::string DefaultOrigin(std::string_view log_public_key) {
  return "crowdteach-" + base::Hex(base::Sha256Of(log_public_key)).substr(0, 16);
}

StatusOr<uint64_t> ParseDecimal(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool padded = text.size() > 1 && text[0] == '0';
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || padded) {
    return InvalidArgument("\"{}\" is not a decimal number below 2^64 without leading zeros", text);
  }
  return value;
}

std::string CheckpointText(const Checkpoint& checkpoint) {
  return fmt::format("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size,
                     base::Base64(base::View(checkpoint.root)));
}

StatusOr<Checkpoint> ParseCheckpointText(std::string_view text) {
  std::array<std::string_view, 3> lines;
  for (std::string_view& line : lines) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return InvalidArgument("a checkpoint has three lines");
    line = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  if (!text.empty()) return InvalidArgument("a checkpoint of ours has no extension lines");
  if (lines[0].empty()) return InvalidArgument("the checkpoint's origin is empty");
  Checkpoint checkpoint;
  checkpoint.origin = lines[0];
  const StatusOr<uint64_t> size = ParseDecimal(lines[1]);
  if (!size.ok()) return Annotate(size.status(), "the checkpoint's size");
  checkpoint.size = *size;
  const StatusOr<std::string> root = base::ParseBase64(lines[2]);
  if (!root.ok()) return Annotate(root.status(), "the checkpoint's root");
  CT_ASSIGN_OR_RETURN(checkpoint.root, base::HashFromBytes(*root));
  return checkpoint;
}

std::string SignCheckpoint(const Checkpoint& checkpoint, const SigningKey& log_key) {
  Note note;
  note.text = CheckpointText(checkpoint);
  SignNote(log_key, checkpoint.origin, &note);
  return FormatNote(note);
}

StatusOr<Checkpoint> OpenCheckpoint(std::string_view bytes, const VerifierKey& log) {
  CT_ASSIGN_OR_RETURN(const Note note, ParseNote(bytes));
  const StatusOr<std::vector<size_t>> verified = VerifyNote(note, {log});
  if (!verified.ok()) return verified.status();
  CT_ASSIGN_OR_RETURN(Checkpoint checkpoint, ParseCheckpointText(note.text));
  if (checkpoint.origin != log.name) {
    return Unauthenticated("the checkpoint is of the log \"{}\", expected is \"{}\"",
                           checkpoint.origin, log.name);
  }
  return checkpoint;
}

}  // namespace crowdteach::ledger
