// Which artifacts a log names, and which of them nobody may have: what an auditor asks a
// coordinator for. Pure: of a replay without fault.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ledger/audit/replay.h"
#include "proto/base/digest.h"

namespace crowdteach::audit {

struct NamedArtifact {
  base::BlobKind kind = base::BlobKind::kData;
  base::Hash digest{};
  uint64_t campaign = 0;
  uint64_t bytes = 0;       // as follows from the ledger
  bool at_most = false;     // an update that was rejected for its shape: `bytes` is a bound
  std::string secret;       // why nobody but the owner may read it (yet); empty: somebody may
  uint64_t kept_to_ms = 0;  // the retention's end of an update; 0: kept for good
  v1::Readers readers = v1::READERS_UNSPECIFIED;  // by the terms; of weights ENROLLED
};

// Each once, in the order an audit reads them. `campaign` empty: of all.
std::vector<NamedArtifact> ArtifactsOf(const Replay& replay, std::optional<uint64_t> campaign);

}  // namespace crowdteach::audit
