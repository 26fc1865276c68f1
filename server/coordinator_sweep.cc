// Sweeping: what no campaign names, and updates whose retention is over.
#include <spdlog/spdlog.h>

#include <filesystem>

#include "server/coordinator_impl.h"

namespace crowdteach::server {

bool Coordinator::Impl::Lapsed(const base::Hash& digest, uint64_t now_ms) const {
  for (const BlobUse& use : marks.UsesOf(digest)) {
    const ledger::CampaignState& campaign = *log->state().FindCampaign(use.campaign);
    const bool kept = use.kind != base::BlobKind::kUpdate ||
                      campaign.phase != ledger::CampaignPhase::kRefunded ||
                      now_ms < campaign.closed_ms + campaign.open.terms().retention_ms();
    if (kept) return false;
  }
  return true;
}

void Coordinator::Impl::Sweep() {
  const uint64_t now_ms = options.now_ms();
  uploads->Expire(now_ms);
  const auto files = artifacts->Files();
  if (!files.ok()) return spdlog::error("sweeping: {}", Message(files.status()));
  uint64_t removed = 0;
  for (const ledger::ArtifactStore::File& file : *files) {
    if (file.written_ms + kUnnamedLifeMs > now_ms || uploads->Knows(file.digest)) continue;
    // Renamed under the lock, or an intent that names it might come between; the removal of a large
    // file takes its time.
    const std::string gone = artifacts->TemporaryPath();
    std::error_code error;
    if (file.published) {
      const std::shared_lock lock(mutex);
      if (!Lapsed(file.digest, now_ms)) continue;
      std::filesystem::rename(artifacts->Path(file.digest), gone, error);
      if (!error) spdlog::info("blob {} is no longer kept", base::Hex(file.digest));
    } else if (const Status forgotten = artifacts->Forget(file.digest); !forgotten.ok()) {
      spdlog::error("sweeping: {}", Message(forgotten));
      continue;
    }
    if (file.published && !error) std::filesystem::remove(gone, error);
    if (error) spdlog::error("sweeping {}: {}", base::Hex(file.digest), error.message());
    if (!error) ++removed;
  }
  if (removed > 0) spdlog::info("{} files were removed from the artifacts", removed);
}

}  // namespace crowdteach::server
