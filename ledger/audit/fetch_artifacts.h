// The artifacts of a verified log from a coordinator's HTTPS port, into the folder that `verify`
// reads. Each is resumed by chunk and published only when its bytes are its digest's; no more is
// taken of any than the ledger says it has. Only in the program. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ledger/artifact_store.h"
#include "ledger/audit/artifact_list.h"
#include "ledger/http_fetch.h"
#include "proto/base/status.h"

namespace crowdteach::audit {

struct ArtifactOptions {
  ledger::HttpsClient* client = nullptr;
  std::string token;                             // of a session; empty: what all may read
  std::function<StatusOr<std::string>()> renew;  // a new token; empty: there is no session
  uint64_t max_bytes = uint64_t{1} << 34;        // of one file
  uint64_t timeout_ms = 600'000;                 // for one file
  uint64_t now_ms = 0;                           // this machine's clock: what may have lapsed
  std::function<void(uint64_t files, uint64_t bytes)> progress;
};

struct LeftArtifact {
  NamedArtifact artifact;
  std::string why;
  bool missing = false;  // should be there by the terms, and is not
};

struct FetchedArtifacts {
  uint64_t present = 0;  // before
  uint64_t fetched = 0;
  uint64_t bytes = 0;  // fetched now
  std::vector<LeftArtifact> left;
};

// What cannot be had is in `left`. From the peer: kUnavailable, kDeadlineExceeded after three
// attempts without progress (call again to go on), kUnauthenticated. kDataLoss: the coordinator
// sends other bytes than the ledger names. Errors of `folder`.
StatusOr<FetchedArtifacts> FetchArtifacts(const std::vector<NamedArtifact>& wanted,
                                          const std::string& folder, ArtifactOptions options);

}  // namespace crowdteach::audit
