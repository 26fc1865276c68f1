#include "server/engine.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace crowdteach::server {
namespace {

constexpr uint64_t kNotAfterMs = 3'600'000;

std::string RowKey(uint64_t campaign) { return fmt::format("engine/{:020}", campaign); }

bool Same(const EngineState& a, const EngineState& b) { return EncodeEngine(a) == EncodeEngine(b); }

bool Over(const ledger::CampaignState& campaign) {
  return campaign.phase == ledger::CampaignPhase::kRefunded;
}

// The job's round and pass are still the ones the ledger is at.
bool Current(const ledger::State& state, const JobRequest& job) {
  const ledger::CampaignState* campaign = state.FindCampaign(job.campaign);
  if (campaign == nullptr || campaign->round.number != job.round) return false;
  const ledger::Phase phase = campaign->round.phase;
  if (job.score) return phase == ledger::Phase::kAggregated && campaign->round.pass == job.pass;
  return phase != ledger::Phase::kIdle && phase != ledger::Phase::kCommit &&
         campaign->round.pass + 1 == job.pass;
}

}  // namespace

Engine::Engine(ledger::Log* log, ledger::SigningKey operator_key)
    : log_(log), operator_key_(std::move(operator_key)) {}

Status Engine::Resume(const std::vector<ledger::RowWrite>& rows, uint64_t down_ms) {
  for (const ledger::RowWrite& row : rows) {
    uint64_t campaign = 0;
    const std::string digits = row.key.substr(row.key.find('/') + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), campaign);
    if (log_->state().FindCampaign(campaign) == nullptr || !row.value.has_value()) {
      return DataLoss("the database has a row {} for a campaign that is not on the ledger",
                      row.key);
    }
    CT_ASSIGN_OR_RETURN(states_[campaign], DecodeEngine(*row.value));
  }
  for (const auto& [campaign, unused] : log_->state().campaigns()) resumed_[campaign] = down_ms;
  committed_ = states_;
  return OkStatus();
}

void Engine::Deliver(const JobRequest& job, Event event) {
  events_.emplace_back(job, std::move(event));
}

StatusOr<uint64_t> Engine::DraftOwn(v1::Intent body, Batch* batch) {
  const ledger::State& state = log_->state();
  const ledger::Account* self = state.FindAccount(0);
  if (state.size() > 0) body.set_genesis(base::Bytes(state.genesis_hash()));
  body.set_sequence(self == nullptr ? 1 : self->next_sequence);
  body.set_not_after_ms(std::max(batch->now_ms, state.last_time_ms()) + kNotAfterMs);
  CT_ASSIGN_OR_RETURN(ledger::LoggedEntry logged,
                      log_->Draft(ledger::SignIntent(body, operator_key_), batch->now_ms));
  batch->logged.push_back(std::move(logged));
  return batch->logged.back().entry.index();
}

Status Engine::CarryOut(uint64_t campaign, const Effect& effect, Batch* batch) {
  if (const auto* propose = std::get_if<Propose>(&effect)) {
    return DraftOwn(propose->body, batch).status();
  }
  JobRequest job;
  job.campaign = campaign;
  job.round = log_->state().FindCampaign(campaign)->round.number;
  job.score = std::holds_alternative<StartScore>(effect);
  job.pass = job.score ? std::get<StartScore>(effect).pass : std::get<StartAggregate>(effect).pass;
  jobs_.push_back(job);
  return OkStatus();
}

void Engine::Settle(uint64_t campaign, const Moment& moment, Batch* batch, uint64_t* wake_ms) {
  std::vector<Event> pending;
  if (const auto resumed = resumed_.find(campaign); resumed != resumed_.end()) {
    pending.push_back(Resumed{resumed->second});
    told_.insert(resumed_.extract(resumed));
  }
  for (const auto& [job, event] : taken_events_) {
    if (job.campaign == campaign && Current(log_->state(), job)) pending.push_back(event);
  }
  pending.push_back(Wake{});
  for (size_t i = 0; i < pending.size();) {
    StepResult result = Step(states_[campaign], pending[i], log_->state(), campaign, moment);
    states_[campaign] = result.next;
    for (const Effect& effect : result.effects) {
      const Status done = CarryOut(campaign, effect, batch);
      if (!done.ok()) {
        spdlog::critical("campaign {}: our own proposal was refused, so it stands still: {}",
                         campaign, Message(done));
        broken_.insert(campaign);
        return;
      }
    }
    // The last event, Wake, is repeated until nothing more comes of it.
    if (result.effects.empty() || i + 1 < pending.size()) ++i;
    if (result.effects.empty() && result.wake_ms != 0) {
      *wake_ms = *wake_ms == 0 ? result.wake_ms : std::min(*wake_ms, result.wake_ms);
    }
  }
}

uint64_t Engine::Settle(const std::function<std::vector<uint64_t>(uint64_t)>& connected,
                        Batch* batch) {
  taken_events_.insert(taken_events_.end(), events_.begin(), events_.end());
  events_.clear();
  uint64_t wake_ms = 0;
  for (const auto& [id, campaign] : log_->state().campaigns()) {
    if (Over(campaign) || broken_.contains(id)) continue;
    Settle(id, Moment{batch->now_ms, connected(id)}, batch, &wake_ms);
  }
  return wake_ms;
}

const EngineState& Engine::StateOf(uint64_t campaign) const {
  static const EngineState kNone;
  const auto found = committed_.find(campaign);
  return found == committed_.end() ? kNone : found->second;
}

std::vector<ledger::RowWrite> Engine::Rows() const {
  std::vector<ledger::RowWrite> rows;
  for (const auto& [campaign, state] : states_) {
    const auto before = committed_.find(campaign);
    if (before != committed_.end() && Same(before->second, state)) continue;
    rows.push_back({RowKey(campaign), EncodeEngine(state)});
  }
  return rows;
}

std::vector<JobRequest> Engine::TakeJobs() { return std::exchange(jobs_, {}); }

void Engine::Committed() {
  committed_ = states_;
  taken_events_.clear();
  told_.clear();
}

void Engine::RolledBack() {
  states_ = committed_;
  events_.insert(events_.begin(), taken_events_.begin(), taken_events_.end());
  taken_events_.clear();
  resumed_.merge(told_);
  jobs_.clear();
}

}  // namespace crowdteach::server
