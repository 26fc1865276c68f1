// Getting a file from a coordinator's HTTPS port.
//
// The server's certificate is *not* verified: what is fetched here (bundles, checkpoints) is
// checked against a pinned log key afterwards, and is worth nothing before. Linked only into
// crowdteach-audit. Ignores SIGPIPE for the process, as OpenSSL writes to its socket without
// asking for that. Thread-safety: pure functions over files.
#pragma once

#include <cstdint>
#include <string>

#include "proto/base/status.h"

namespace crowdteach::ledger {

struct FetchOptions {
  std::string host;
  uint16_t port = 0;
  std::string path;    // "/bundle"
  std::string output;  // written from its beginning; removed on error
  uint64_t max_bytes = uint64_t{1} << 34;
  uint64_t timeout_ms = 600'000;  // for all of it; connecting has 10 s, a silence 30 s
};

// Returns the bytes written, synced. From the peer (FromPeer): kUnavailable (no connection, or it
// broke), kDeadlineExceeded, kResourceExhausted (longer than max_bytes), kFailedPrecondition
// (another answer than 200). Of our own: ErrnoStatus of `output`.
StatusOr<uint64_t> FetchToFile(const FetchOptions& options);

struct Address {
  std::string host;
  uint16_t port = 0;
};
// "localhost:8443", "[::1]:8443". kInvalidArgument.
StatusOr<Address> ParseAddress(std::string_view text);

}  // namespace crowdteach::ledger
