// The parts of a Coordinator, shared by its .cc files only.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "ledger/log.h"
#include "ledger/sqlite_log_store.h"
#include "server/coordinator.h"
#include "server/engine.h"
#include "server/home.h"
#include "server/jobs/round_jobs.h"
#include "server/marks.h"
#include "server/streams.h"
#include "server/uploads.h"
#include "server/writer.h"

namespace crowdteach::server {

struct Coordinator::Impl {
  CoordinatorOptions options;
  std::unique_ptr<Keys> keys;
  std::unique_ptr<ledger::SqliteLogStore> store;
  std::unique_ptr<ledger::ArtifactStore> artifacts;
  std::unique_ptr<AccessLog> accesses;
  std::unique_ptr<ledger::Log> log;
  std::unique_ptr<Engine> engine;
  Marks marks;
  Streams streams;
  // Of the log, for readers without the lock: a batch that is dropped replays the log's state.
  base::Hash genesis_hash{};
  std::string log_vkey;

  // Guards log, engine and marks. The writer holds it alone for a whole batch, commit included, so
  // that nobody sees what is not durable.
  mutable std::shared_mutex mutex;

  // A teacher gets room for one update a round: (campaign, account) → round and digest.
  struct Claim {
    uint32_t round = 0;
    std::string digest;
  };
  mutable std::mutex claims_mutex;
  mutable std::map<std::pair<uint64_t, uint64_t>, Claim> claims;

  std::unique_ptr<Uploads> uploads;

  // Norms of updates uploaded for open rounds, by campaign, so that the writer need not read them.
  mutable std::mutex norms_mutex;
  std::map<std::pair<uint64_t, base::Hash>, unsigned __int128> norms;

  std::unique_ptr<RoundJobs> jobs;
  std::unique_ptr<Writer> writer;
  uint64_t next_sweep_ms = 0;  // the writer's

  // Lifecycle (coordinator_start.cc).
  Status Open();
  Status WriteGenesis();

  // Batches (coordinator_batch.cc); all on the writer thread.
  uint64_t Process(const std::vector<Command>& commands);
  // kUnavailable: the store could not be written, and nothing happened.
  Status CommitBatch(Batch* batch, uint64_t* wake_ms);
  void Publish(const Batch& batch);
  void PublishView(uint64_t campaign);
  void StartJob(const JobRequest& job);
  StatusOr<PassSpec> SpecOf(const JobRequest& job) const;
  std::string MakeReceipt(uint64_t index) const;

  // Removing what is no longer kept (coordinator_sweep.cc); on the jobs' thread.
  void Sweep();
  // By the rules for blobs nobody names and for updates after their retention.
  bool Lapsed(const base::Hash& digest, uint64_t now_ms) const;

  // Submitting (coordinator_submit.cc).
  void SubmitNow(const v1::SignedIntent& intent, const std::function<void(SubmitOutcome)>& done,
                 Batch* batch);
  StatusOr<uint64_t> DraftForeign(const v1::SignedIntent& intent, Batch* batch);
  std::optional<uint64_t> FindLogged(const v1::Intent& intent,
                                     const v1::SignedIntent& signed_intent,
                                     const Batch& batch) const;
  // The blobs that the intent names have been uploaded.
  Status CheckArtifacts(const v1::Intent& intent) const;
  Status RejectIfUnfit(const v1::Intent& intent, Batch* batch);
  StatusOr<v1::RejectReason> Judge(uint64_t campaign, const base::Hash& update);
  void ForgetNorms(uint64_t campaign);
  // Reports the fate of what `draft` put into the batch.
  void Answer(StatusOr<uint64_t> drafted, uint64_t account,
              const std::function<void(SubmitOutcome)>& done, Batch* batch);
};

}  // namespace crowdteach::server
