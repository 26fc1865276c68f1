// Batches: from posted commands to a durable transaction, its pushes and its jobs.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "ledger/round.h"
#include "proto/base/assert.h"
#include "proto/base/exit_codes.h"
#include "server/coordinator_impl.h"
#include "server/views.h"

namespace crowdteach::server {
namespace {

constexpr uint64_t kRetryAfterMs = 1000;
constexpr uint64_t kSweepEveryMs = 3'600'000;

}  // namespace

std::string Coordinator::Impl::MakeReceipt(uint64_t index) const {
  StatusOr<std::string> receipt = log->Receipt(index);
  CT_ASSERT(receipt.ok());  // only ever asked for committed entries
  return *std::move(receipt);
}

Status Coordinator::Impl::CommitBatch(Batch* batch, uint64_t* wake_ms) {
  *wake_ms = engine->Settle([this](uint64_t id) { return streams.Connected(id); }, batch);
  std::vector<ledger::RowWrite> rows = engine->Rows();
  if (batch->logged.empty() && rows.empty()) {
    engine->Committed();
    return OkStatus();
  }
  const Status committed = log->Commit(std::move(rows));
  if (committed.ok()) {
    engine->Committed();
    for (const ledger::LoggedEntry& logged : batch->logged) {
      marks.Take(logged);
      for (const std::string& digest : ForeignBlobsOf(logged.intent)) {
        uploads->Named(*base::HashFromBytes(digest));
      }
    }
    return OkStatus();
  }
  if (const Status health = log->health(); !health.ok()) {
    // What is durable and what was answered may differ now; only a replay puts that right.
    spdlog::critical("the log cannot go on, start again when the cause is gone: {}",
                     Message(health));
    std::_Exit(kExitIo);
  }
  spdlog::error("nothing of this batch was logged: {}", Message(committed));
  engine->RolledBack();
  *wake_ms = batch->now_ms + kRetryAfterMs;
  // A full disk is no refusal: the rules say kResourceExhausted, too, but of credits.
  return Unavailable("nothing was logged, try again later: {}", Message(committed));
}

uint64_t Coordinator::Impl::Process(const std::vector<Command>& commands) {
  Batch batch;
  batch.now_ms = options.now_ms();
  uint64_t wake_ms = 0;
  Status committed;
  std::vector<JobRequest> jobs_to_start;
  {
    const std::unique_lock lock(mutex);
    for (const Command& command : commands) command(batch);
    committed = CommitBatch(&batch, &wake_ms);
    jobs_to_start = engine->TakeJobs();
  }
  for (const auto& tell : batch.after) tell(committed);
  if (!log->health().ok() && options.on_broken) {
    spdlog::critical("the log is broken: {}", Message(log->health()));
    std::exchange(options.on_broken, nullptr)(log->health());
    return 0;
  }
  if (committed.ok()) Publish(batch);
  for (const auto& tell : batch.published) tell();
  for (const JobRequest& job : jobs_to_start) StartJob(job);
  if (batch.now_ms >= next_sweep_ms) {
    next_sweep_ms = batch.now_ms + kSweepEveryMs;
    jobs->Run([this] { Sweep(); });
  }
  return wake_ms == 0 ? next_sweep_ms : std::min(wake_ms, next_sweep_ms);
}

void Coordinator::Impl::Publish(const Batch& batch) {
  std::set<uint64_t> touched;
  const auto receipt = [this](uint64_t index) { return MakeReceipt(index); };
  for (const ledger::LoggedEntry& logged : batch.logged) {
    const uint64_t campaign = CampaignOf(logged);
    if (campaign == 0) continue;
    touched.insert(campaign);
    // What was uploaded and never revealed.
    const bool ends_round = logged.intent.has_settle() || logged.intent.has_round_abort();
    if (ends_round) ForgetNorms(campaign);
    std::vector<AddressedNotice> notices;
    {
      const std::shared_lock lock(mutex);
      const ledger::CampaignState& state = *log->state().FindCampaign(campaign);
      notices = NoticesOf(logged, state, marks.Campaign(campaign), receipt);
      if (ends_round && state.phase != ledger::CampaignPhase::kRunning) jobs->Forget(campaign);
    }
    for (AddressedNotice& addressed : notices) {
      const auto notice = std::make_shared<const v1::Notice>(std::move(addressed.notice));
      if (addressed.account == 0) {
        streams.PushToAll(campaign, notice);
      } else {
        streams.PushTo(campaign, addressed.account, notice);
      }
    }
  }
  for (const uint64_t campaign : touched) PublishView(campaign);
}

void Coordinator::Impl::PublishView(uint64_t campaign) {
  if (!streams.Watched(campaign)) return;
  std::shared_ptr<const v1::CampaignView> view;
  {
    const std::shared_lock lock(mutex);
    view = std::make_shared<const v1::CampaignView>(
        MakeView(log->state(), marks, engine->StateOf(campaign), campaign,
                 streams.Connected(campaign), options.now_ms()));
  }
  streams.PushView(campaign, view);
}

StatusOr<PassSpec> Coordinator::Impl::SpecOf(const JobRequest& job) const {
  const std::shared_lock lock(mutex);
  const ledger::CampaignState* campaign = log->state().FindCampaign(job.campaign);
  if (campaign == nullptr)
    return Internal("a job for campaign {}, which there is not", job.campaign);
  PassSpec spec;
  spec.campaign = job.campaign;
  spec.open = campaign->open;
  spec.base_model = campaign->model_digest;
  spec.loss_before_q32 = campaign->loss_q32;
  spec.correct_before = campaign->correct;
  for (const uint64_t account : ledger::Included(campaign->round)) {
    const ledger::Seat& seat = campaign->round.seats.at(account);
    spec.updates.push_back({account, *seat.update, seat.weight});
  }
  if (job.score) spec.aggregate = campaign->round.aggregate;
  return spec;
}

void Coordinator::Impl::StartJob(const JobRequest& job) {
  StatusOr<PassSpec> spec = SpecOf(job);
  CT_ASSERT(spec.ok());
  auto done = [this, job](Event event) {
    writer->Post([this, job, event = std::move(event)](Batch&) { engine->Deliver(job, event); });
  };
  if (job.score) {
    jobs->Score(*std::move(spec), std::move(done));
  } else {
    jobs->Aggregate(*std::move(spec), std::move(done));
  }
}

}  // namespace crowdteach::server
