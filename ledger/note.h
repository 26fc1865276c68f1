// Signed notes (C2SP signed-note) and their verifier keys, type 0x01: Ed25519.
//
//   <text, ending in a newline>
//   <empty line>
//   — <name> base64(keyID | signature)        one or more; U+2014
//
// keyID = first 4 bytes of SHA-256(name | 0x0A | type | public key), vkey =
// name+hex(keyID)+base64(type | public key). Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/signature.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

inline constexpr size_t kMaxNoteBytes = 65536;
inline constexpr size_t kMaxNoteSignatures = 64;

struct VerifierKey {
  std::string name;
  uint32_t key_id = 0;
  std::string public_key;  // Ed25519, 32 bytes
};

// `name` must be legal (ParseVkey says what is not), `public_key` 32 bytes.
VerifierKey MakeVerifierKey(std::string_view name, std::string_view public_key);
std::string FormatVkey(const VerifierKey& key);
// kInvalidArgument: malformed, a name with spaces or '+', a key type other than 0x01, a key ID that
// is not the key's.
StatusOr<VerifierKey> ParseVkey(std::string_view vkey);

struct NoteSignature {
  std::string name;
  uint32_t key_id = 0;
  std::string signature;  // what follows the key ID
};

struct Note {
  std::string text;  // ends in a newline
  std::vector<NoteSignature> signatures;
};

std::string FormatNote(const Note& note);
// kInvalidArgument: too long, not UTF-8, control characters, no signature block, more than
// kMaxNoteSignatures, base64 that is not strict. ParseNote then FormatNote gives the same bytes.
StatusOr<Note> ParseNote(std::string_view bytes);

void SignNote(const SigningKey& key, std::string_view name, Note* note);

// Positions of the signatures made by `keys`; unknown keys are skipped.
// kUnauthenticated: a signature of a known key that fails, or none of a known key.
StatusOr<std::vector<size_t>> VerifyNote(const Note& note, const std::vector<VerifierKey>& keys);

}  // namespace crowdteach::ledger
