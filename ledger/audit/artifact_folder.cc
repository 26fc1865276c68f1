#include "ledger/audit/artifact_folder.h"

#include <filesystem>

#include "learning/aggregate/trainable_file.h"

namespace crowdteach::audit {

std::string ArtifactFolder::Path(const base::Hash& digest) const {
  return (std::filesystem::path(folder_) / base::Hex(digest)).string();
}

ArtifactFolder::Found ArtifactFolder::Look(base::BlobKind kind, const base::Hash& digest) {
  const auto known = known_.find({kind, digest});
  if (known != known_.end()) return known->second;
  const Found found = Hash(kind, digest);
  known_[{kind, digest}] = found;
  if (found == Found::kWhole) whole_++;
  return found;
}

ArtifactFolder::Found ArtifactFolder::Hash(base::BlobKind kind, const base::Hash& digest) {
  const std::string path = Path(digest);
  std::error_code error;
  // A pipe or a device would hang or never end.
  if (!std::filesystem::is_regular_file(path, error)) return Found::kMissing;
  const StatusOr<base::Hash> found = learning::BlobDigestOfFile(kind, path, executor_);
  if (!found.ok()) return Found::kMissing;
  if (*found == digest) return Found::kWhole;
  if (!fault_) {
    fault_ = ledger::BundleFault{fmt::format("artifact {}", base::Hex(digest)),
                                 std::string(base::BlobKindName(kind)),
                                 fmt::format("its bytes have the digest {}", base::Hex(*found))};
  }
  return Found::kFalse;
}

}  // namespace crowdteach::audit
