// The heavy work of a round, one job at a time on a thread of its own: aggregate the updates, score
// them with the model in crowdteach-worker, check what an owner wants to open.
//
// Aggregation is exact and touches no worker. Scoring keeps one worker alive between rounds, with
// the model loaded, and respawns it when it died. Jobs read and write only content-addressed files,
// so a job that is repeated after a restart does no harm.
//
// Thread-safety: methods may be called from any thread; `done` is called once, on the jobs' thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/artifact_store.h"
#include "proto/base/digest.h"
#include "server/round/step.h"

namespace crowdteach::server {

struct IncludedUpdate {
  uint64_t account = 0;
  base::Hash digest{};
  uint64_t weight = 0;
};

// One pass of one round, as the ledger has it.
struct PassSpec {
  uint64_t campaign = 0;
  v1::CampaignOpen open;
  base::Hash base_model{};
  std::vector<IncludedUpdate> updates;  // by account
  // Scoring only.
  v1::Aggregate aggregate;
  uint64_t loss_before_q32 = 0;
  uint64_t correct_before = 0;
};

struct JobsOptions {
  std::string worker_path;
  uint64_t worker_memory_bytes = 0;
  uint32_t threads = 1;
  bool sandbox = true;
  bool allow_model_code = false;
  std::string scratch;  // a folder for what need not outlive the process
};

class RoundJobs {
 public:
  RoundJobs(JobsOptions options, ledger::ArtifactStore* artifacts);
  // Kills the worker a running job waits for; what needs none is finished. The others are dropped.
  ~RoundJobs();

  // AggregateDone; or JobFailed(WORKER_FAILED) when a file cannot be read or written.
  void Aggregate(PassSpec spec, std::function<void(Event)> done);
  // ScoreDone, Diverging, or JobFailed.
  void Score(PassSpec spec, std::function<void(Event)> done);

  // Anything else that takes its time with the disk, in turn with the jobs. Must not throw.
  void Run(std::function<void()> work);
  // The campaign has had its last round: drops its worker, its gradients and its last pass.
  void Forget(uint64_t campaign);

  // Are the model and the validation set here, do they fit the terms and each other, and is the
  // loss what the owner says, to 1e-5 nat? Errors name the term. kUnavailable: the worker died.
  void CheckOpening(v1::CampaignOpen open, std::function<void(Status)> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Sum of q^2 of an uploaded update, as it was sent. kInvalidArgument: its size is not
// 4 bytes a trainable parameter.
StatusOr<unsigned __int128> NormSquaredOf(const std::string& path, uint64_t parameters);

}  // namespace crowdteach::server
