#include "ledger/note.h"

#include <algorithm>
#include <array>

#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/base/digest.h"

namespace crowdteach::ledger {
namespace {

constexpr std::string_view kSignaturePrefix = "\u2014 ";
constexpr char kEd25519 = 0x01;
constexpr size_t kKeyBytes = 32;

// Takes one character off `text`, as RFC 3629 has it; -1 if the bytes are not UTF-8.
int32_t TakeCodePoint(std::string_view& text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  const size_t length = first < 0x80       ? 1
                        : first >> 5 == 6  ? 2
                        : first >> 4 == 14 ? 3
                        : first >> 3 == 30 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) return -1;
  uint32_t code = length == 1 ? first : first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if (at(i) >> 6 != 2) return -1;
    code = code << 6 | (at(i) & 0x3f);
  }
  constexpr std::array<uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (code < kLeast[length] || code > 0x10ffff || surrogate) return -1;
  text.remove_prefix(length);
  return static_cast<int32_t>(code);
}

// Unicode's White_Space.
bool IsSpace(int32_t code) {
  return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 || code == 0xa0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
         code == 0x202f || code == 0x205f || code == 0x3000;
}

bool IsLegalName(std::string_view name) {
  if (name.empty()) return false;
  while (!name.empty()) {
    const int32_t code = TakeCodePoint(name);
    if (code < 0x20 || code == '+' || IsSpace(code)) return false;
  }
  return true;
}

Status CheckText(std::string_view text) {
  while (!text.empty()) {
    const int32_t code = TakeCodePoint(text);
    if (code < 0) return InvalidArgument("the note is not UTF-8");
    if (code < 0x20 && code != '\n') return InvalidArgument("the note has a control character");
  }
  return OkStatus();
}

uint32_t KeyId(std::string_view name, std::string_view type_and_key) {
  return base::ReadU32(base::Sha256Of(fmt::format("{}\n{}", name, type_and_key)).data());
}

StatusOr<NoteSignature> ParseSignatureLine(std::string_view line, size_t number) {
  const auto fault = [&](std::string_view why) {
    return InvalidArgument("signature {} of the note {}", number, why);
  };
  if (!line.starts_with(kSignaturePrefix))
    return fault("does not begin with an em dash and a space");
  line.remove_prefix(kSignaturePrefix.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return fault("has no space between name and base64");
  NoteSignature signature;
  signature.name = line.substr(0, space);
  if (!IsLegalName(signature.name)) return fault("has an illegal key name");
  const StatusOr<std::string> blob = base::ParseBase64(line.substr(space + 1));
  if (!blob.ok()) return fault(Message(blob.status()));
  if (blob->size() < 5) return fault("is too short");
  signature.key_id = base::ReadU32(blob->data());
  signature.signature = blob->substr(4);
  return signature;
}

}  // namespace

VerifierKey MakeVerifierKey(std::string_view name, std::string_view public_key) {
  CT_ASSERT(IsLegalName(name) && public_key.size() == kKeyBytes);
  const std::string typed = kEd25519 + std::string(public_key);
  return {std::string(name), KeyId(name, typed), std::string(public_key)};
}

std::string FormatVkey(const VerifierKey& key) {
  return fmt::format("{}+{:08x}+{}", key.name, key.key_id, base::Base64(kEd25519 + key.public_key));
}

// No message quotes the text: it may be of a file given by mistake, with secrets in it.
StatusOr<VerifierKey> ParseVkey(std::string_view vkey) {
  const size_t first = vkey.find('+');
  const size_t second = first == std::string_view::npos ? first : vkey.find('+', first + 1);
  if (second == std::string_view::npos) {
    return InvalidArgument("a verifier key is one line: name+key ID+base64");
  }
  VerifierKey key;
  key.name = vkey.substr(0, first);
  if (!IsLegalName(key.name))
    return InvalidArgument(
        "the verifier key has an illegal name (a space, a line break or a second '+')");
  const StatusOr<std::string> id = base::ParseHex(vkey.substr(first + 1, second - first - 1));
  if (!id.ok() || id->size() != 4) {
    return InvalidArgument("the verifier key's key ID is not 8 lower-case hex digits");
  }
  StatusOr<std::string> typed = base::ParseBase64(vkey.substr(second + 1));
  if (!typed.ok()) return Annotate(typed.status(), "the verifier key's last part");
  if (typed->size() != 1 + kKeyBytes || typed->front() != kEd25519) {
    return InvalidArgument("the verifier key is not of type 1, Ed25519");
  }
  key.key_id = base::ReadU32(id->data());
  if (key.key_id != KeyId(key.name, *typed)) {
    return InvalidArgument("the verifier key's key ID does not belong to its name and key");
  }
  key.public_key = typed->substr(1);
  return key;
}

std::string FormatNote(const Note& note) {
  std::string out = note.text + "\n";
  for (const NoteSignature& signature : note.signatures) {
    std::string blob;
    base::AppendU32(blob, signature.key_id);
    blob += signature.signature;
    out += fmt::format("{}{} {}\n", kSignaturePrefix, signature.name, base::Base64(blob));
  }
  return out;
}

StatusOr<Note> ParseNote(std::string_view bytes) {
  if (bytes.size() > kMaxNoteBytes) {
    return InvalidArgument("a note of {} bytes, at most {} are allowed", bytes.size(),
                           kMaxNoteBytes);
  }
  CT_RETURN_IF_ERROR(CheckText(bytes));
  const size_t blank = bytes.rfind("\n\n");
  if (blank == std::string_view::npos) return InvalidArgument("the note has no empty line");
  Note note;
  note.text = bytes.substr(0, blank + 1);
  std::string_view block = bytes.substr(blank + 2);
  if (block.empty()) return InvalidArgument("the note has no signature");
  while (!block.empty()) {
    if (note.signatures.size() == kMaxNoteSignatures) {
      return InvalidArgument("the note has more than {} signatures", kMaxNoteSignatures);
    }
    const size_t end = block.find('\n');
    if (end == std::string_view::npos) return InvalidArgument("the note does not end in a newline");
    CT_ASSIGN_OR_RETURN(NoteSignature signature,
                        ParseSignatureLine(block.substr(0, end), note.signatures.size()));
    note.signatures.push_back(std::move(signature));
    block.remove_prefix(end + 1);
  }
  return note;
}

void SignNote(const SigningKey& key, std::string_view name, Note* note) {
  const VerifierKey verifier = MakeVerifierKey(name, key.public_key());
  note->signatures.push_back({verifier.name, verifier.key_id, key.Sign(note->text)});
}

StatusOr<std::vector<size_t>> VerifyNote(const Note& note, const std::vector<VerifierKey>& keys) {
  std::vector<size_t> verified;
  for (size_t i = 0; i < note.signatures.size(); ++i) {
    const NoteSignature& signature = note.signatures[i];
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const VerifierKey& k) {
      return k.name == signature.name && k.key_id == signature.key_id;
    });
    if (key == keys.end()) continue;
    if (!Verify(key->public_key, note.text, signature.signature)) {
      return Unauthenticated("signature {} of the note, by {}, is not valid", i, key->name);
    }
    verified.push_back(i);
  }
  if (verified.empty()) return Unauthenticated("the note is not signed by any key we know");
  return verified;
}

}  // namespace crowdteach::ledger
