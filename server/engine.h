// Drives Step for every campaign against the log: proposes what it says, starts its jobs, keeps its
// rows. Belongs to the writer thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "ledger/log.h"
#include "ledger/signature.h"
#include "server/round/step.h"

namespace crowdteach::server {

// One batch on its way into the log.
struct Batch {
  uint64_t now_ms = 0;
  std::vector<ledger::LoggedEntry> logged;
  // Called in order once the batch is durable, or with the reason why it is not.
  std::vector<std::function<void(const Status&)>> after;
  // Called in order once all that was logged has been pushed, logged or not.
  std::vector<std::function<void()>> published;
};

// A job Step asked for; to be started once the batch is durable.
struct JobRequest {
  uint64_t campaign = 0;
  uint32_t round = 0;
  uint32_t pass = 0;
  bool score = false;  // else aggregate
};

class Engine {
 public:
  Engine(ledger::Log* log, ledger::SigningKey operator_key);

  // At the start: the rows kept, and how long the coordinator was down.
  Status Resume(const std::vector<ledger::RowWrite>& rows, uint64_t down_ms);

  // An event for the next Settle. Dropped if the round has moved on meanwhile.
  void Deliver(const JobRequest& job, Event event);

  // Logs an operator's intent in this batch. Errors as Log::Draft.
  StatusOr<uint64_t> DraftOwn(v1::Intent body, Batch* batch);

  // Runs every campaign until Step has nothing more to propose. Returns when to be called again
  // (0: never). `connected(campaign)` lists the attending teachers.
  uint64_t Settle(const std::function<std::vector<uint64_t>(uint64_t)>& connected, Batch* batch);

  // What is kept of a campaign, as of the last durable batch.
  const EngineState& StateOf(uint64_t campaign) const;

  // What the batch changed: the rows to commit with it, then the jobs to start after it.
  std::vector<ledger::RowWrite> Rows() const;
  std::vector<JobRequest> TakeJobs();
  // The batch is durable; or it is not, and everything is as before it.
  void Committed();
  void RolledBack();

 private:
  void Settle(uint64_t campaign, const Moment& moment, Batch* batch, uint64_t* wake_ms);
  Status CarryOut(uint64_t campaign, const Effect& effect, Batch* batch);

  ledger::Log* const log_;
  const ledger::SigningKey operator_key_;
  std::map<uint64_t, EngineState> states_;
  std::map<uint64_t, EngineState> committed_;  // as of the last durable batch
  std::vector<std::pair<JobRequest, Event>> events_;
  std::vector<std::pair<JobRequest, Event>> taken_events_;  // by the pending batch
  std::vector<JobRequest> jobs_;
  std::set<uint64_t> broken_;  // a proposal of ours was illegal: a bug; left alone until a restart
  std::map<uint64_t, uint64_t> resumed_;  // campaign → downtime to be told
  std::map<uint64_t, uint64_t> told_;     // by the pending batch
};

}  // namespace crowdteach::server
