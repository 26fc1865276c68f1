// Checkpoints (C2SP tlog-checkpoint): a log's signed claim of its size and root.
//
// The text is `origin\n`, decimal size `\n`, base64 root `\n`, without extension lines; the note is
// signed by the log's key under the origin as its name. Compare claims (origin, size, root), never
// signed bytes. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ledger/note.h"
#include "ledger/signature.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  base::Hash root{};
  bool operator==(const Checkpoint&) const = default;
};

// "crowdteach-" and 16 hex digits of SHA-256(log public key).
std::string DefaultOrigin(std::string_view log_public_key);

std::string CheckpointText(const Checkpoint& checkpoint);
// kInvalidArgument: not exactly three lines, a size with leading zeros, a root that is not strict
// base64 of 32 bytes.
StatusOr<Checkpoint> ParseCheckpointText(std::string_view text);

// The note, signed under the checkpoint's origin.
std::string SignCheckpoint(const Checkpoint& checkpoint, const SigningKey& log_key);

// The claim of a note signed by `log`. kInvalidArgument: malformed; kUnauthenticated: no valid
// signature of `log`, or another origin than the key's name.
StatusOr<Checkpoint> OpenCheckpoint(std::string_view note, const VerifierKey& log);

// Strict decimal: no sign, no leading zero, fits. kInvalidArgument.
StatusOr<uint64_t> ParseDecimal(std::string_view text);

}  // namespace crowdteach::ledger
