// A folder of artifacts, each file named by its blob digest; nothing in it is believed before its
// bytes were hashed. Not thread-safe: it remembers what it has hashed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "learning/aggregate/tile_executor.h"
#include "ledger/bundle.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::audit {

class ArtifactFolder {
 public:
  ArtifactFolder(std::string folder, learning::TileExecutor& executor)
      : folder_(std::move(folder)), executor_(executor) {}

  enum class Found { kWhole, kMissing, kFalse };
  // Hashes the file, once. kMissing: not there, or not readable here. kFalse: its bytes are not the
  // digest's; fault() says so.
  Found Look(base::BlobKind kind, const base::Hash& digest);

  std::string Path(const base::Hash& digest) const;
  uint64_t whole() const { return whole_; }
  // The first false artifact.
  const std::optional<ledger::BundleFault>& fault() const { return fault_; }

 private:
  Found Hash(base::BlobKind kind, const base::Hash& digest);

  std::string folder_;
  learning::TileExecutor& executor_;
  std::map<std::pair<base::BlobKind, base::Hash>, Found> known_;
  uint64_t whole_ = 0;
  std::optional<ledger::BundleFault> fault_;
};

}  // namespace crowdteach::audit
