#include "server/round/step.h"

#include <algorithm>
#include <utility>

#include "ledger/reward.h"
#include "ledger/round.h"
#include "ledger/selection.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::server {
namespace {

using ledger::CampaignPhase;
using ledger::CampaignState;
using ledger::Phase;

// After the first round those who are away are given this long to come back.
constexpr uint64_t kRegatherMs = 2000;

// Everything a transition looks at.
struct View {
  const ledger::State& ledger;
  const CampaignState& campaign;
  uint64_t id;
  const Moment& moment;

  const v1::Terms& terms() const { return campaign.open.terms(); }
  const ledger::RoundState& round() const { return campaign.round; }
};

v1::Intent Abort(const View& view, v1::AbortReason reason) {
  v1::Intent body;
  v1::RoundAbort* abort = body.mutable_round_abort();
  abort->set_campaign(view.id);
  abort->set_round(view.round().number);
  abort->set_reason(reason);
  return body;
}

v1::Intent Reject(const View& view, uint64_t account, v1::RejectReason reason, uint32_t pass) {
  v1::Intent body;
  v1::UpdateReject* reject = body.mutable_update_reject();
  reject->set_campaign(view.id);
  reject->set_round(view.round().number);
  reject->set_account(account);
  reject->set_reason(reason);
  reject->set_pass(pass);
  return body;
}

void ProposeRejects(const View& view, const std::vector<uint64_t>& accounts,
                    v1::RejectReason reason, uint32_t pass, StepResult* result) {
  for (const uint64_t account : accounts) {
    result->effects.push_back(Propose{Reject(view, account, reason, pass)});
  }
}

// The deadline of the phase the round is in, set once when the phase is first seen.
uint64_t Deadline(const View& view, uint64_t from_ms, EngineState* state) {
  const ledger::RoundState& round = view.round();
  if (state->deadline_ms == 0 || state->timed_round != round.number ||
      state->timed_phase != round.phase) {
    state->timed_round = round.number;
    state->timed_phase = round.phase;
    state->deadline_ms = from_ms;
  }
  return state->deadline_ms;
}

// How many candidates are worth waiting for. Before the first round strangers may still enrol;
// later only those who are enrolled and covered can come back.
size_t Wanted(const View& view) {
  const size_t teachers = view.terms().teachers();
  if (view.round().number == 0) return teachers;
  std::vector<uint64_t> enrolled;
  for (const auto& [account, unused] : view.campaign.enrolments) enrolled.push_back(account);
  return std::min(teachers, ledger::CandidatesOf(view.ledger, view.id, std::move(enrolled)).size());
}

void StepIdle(const View& view, StepResult* result) {
  EngineState& state = result->next;
  const uint64_t now = view.moment.now_ms;
  const uint64_t overdue =
      Deadline(view, view.campaign.last_round_ms + view.terms().close_ms(), &state);
  if (now >= overdue) {
    v1::Intent body;
    body.mutable_campaign_close()->set_campaign(view.id);
    result->effects.push_back(Propose{std::move(body)});
    return;
  }
  result->wake_ms = overdue;
  if (view.campaign.phase != CampaignPhase::kRunning) return;

  const std::vector<uint64_t> candidates =
      ledger::CandidatesOf(view.ledger, view.id, view.moment.connected);
  if (candidates.size() < view.terms().quorum()) {
    state.gather_until_ms = 0;
    return;
  }
  if (candidates.size() < Wanted(view)) {
    if (state.gather_until_ms == 0) {
      const uint64_t commit_ms = view.terms().commit_ms();
      state.gather_until_ms =
          now + (view.round().number == 0 ? commit_ms : std::min(commit_ms, kRegatherMs));
    }
    if (now < state.gather_until_ms) {
      result->wake_ms = std::min(overdue, state.gather_until_ms);
      return;
    }
  }
  state.gather_until_ms = 0;
  StatusOr<v1::RoundOpen> open = ledger::Select(view.ledger, view.id, candidates);
  CT_ASSERT(open.ok());
  v1::Intent body;
  *body.mutable_round_open() = *std::move(open);
  result->effects.push_back(Propose{std::move(body)});
}

void StepCommit(const View& view, StepResult* result) {
  const uint64_t deadline = Deadline(view, ledger::CommitDeadlineMs(view.campaign), &result->next);
  const size_t count = ledger::Commitments(view.round());
  if (!ledger::EveryoneCommitted(view.round())) {
    if (view.moment.now_ms < deadline) {
      result->wake_ms = deadline;
      return;
    }
    if (count < view.terms().quorum()) {
      result->effects.push_back(Propose{Abort(view, v1::COMMIT_QUORUM)});
      return;
    }
  }
  v1::Intent body;
  v1::RoundCommitClose* close = body.mutable_round_commit_close();
  close->set_campaign(view.id);
  close->set_round(view.round().number);
  close->set_count(static_cast<uint32_t>(count));
  result->effects.push_back(Propose{std::move(body)});
}

// Starts the next pass's aggregate, or aborts for want of a quorum.
void NextPass(const View& view, v1::AbortReason too_few, StepResult* result) {
  if (ledger::Included(view.round()).size() < view.terms().quorum()) {
    result->effects.push_back(Propose{Abort(view, too_few)});
  } else if (!result->next.job_running) {
    result->next.job_running = true;
    result->effects.push_back(StartAggregate{view.round().pass + 1});
  }
}

void StepUpload(const View& view, StepResult* result) {
  const uint64_t deadline = Deadline(view, ledger::UploadDeadlineMs(view.campaign), &result->next);
  const std::vector<uint64_t> awaited = ledger::Awaited(view.campaign);
  if (!awaited.empty()) {
    if (view.moment.now_ms < deadline) {
      result->wake_ms = deadline;
    } else {
      ProposeRejects(view, awaited, v1::NO_REVEAL, 0, result);
    }
    return;
  }
  const std::vector<uint64_t> duplicates = ledger::Duplicates(view.campaign);
  if (!duplicates.empty()) {
    ProposeRejects(view, duplicates, v1::DUPLICATE, 0, result);
    return;
  }
  NextPass(view, v1::REVEAL_QUORUM, result);
}

void StepAggregated(const View& view, StepResult* result) {
  if (ledger::RejectedSinceAggregate(view.round())) {
    NextPass(view, v1::REVEAL_QUORUM, result);
  } else if (!result->next.job_running) {
    result->next.job_running = true;
    result->effects.push_back(StartScore{view.round().pass});
  }
}

void StepScored(const View& view, StepResult* result) {
  const std::vector<uint64_t> uncovered = ledger::Uncovered(view.ledger, view.id);
  if (!uncovered.empty()) {
    ProposeRejects(view, uncovered, v1::UNCOVERED, view.round().pass, result);
    return;
  }
  if (ledger::RejectedSinceAggregate(view.round())) {
    NextPass(view, v1::COVER_QUORUM, result);
    return;
  }
  if (!ledger::CheckScoreRange(view.campaign, view.round().score).ok()) {
    result->effects.push_back(Propose{Abort(view, v1::SCORE_RANGE)});
    return;
  }
  v1::Intent body;
  v1::Settle* settle = body.mutable_settle();
  settle->set_campaign(view.id);
  settle->set_round(view.round().number);
  settle->set_pass(view.round().pass);
  settle->set_parts(1);
  result->effects.push_back(Propose{std::move(body)});
}

void StepClosed(const View& view, StepResult* result) {
  const uint64_t release_at = view.campaign.closed_ms + view.terms().dispute_ms();
  if (view.moment.now_ms < release_at) {
    result->wake_ms = release_at;
    return;
  }
  const size_t teachers = view.campaign.enrolments.size();
  const size_t parts =
      std::max<size_t>(1, (teachers + ledger::kPartTeachers - 1) / ledger::kPartTeachers);
  v1::Intent body;
  v1::Release* release = body.mutable_release();
  release->set_campaign(view.id);
  release->set_part(view.campaign.released_parts);
  release->set_parts(static_cast<uint32_t>(parts));
  result->effects.push_back(Propose{std::move(body)});
}

void StepWake(const View& view, StepResult* result) {
  switch (view.campaign.phase) {
    case CampaignPhase::kRunning:
    case CampaignPhase::kEnded:
      break;
    case CampaignPhase::kClosed:
      return StepClosed(view, result);
    case CampaignPhase::kReleased: {
      v1::Intent body;
      body.mutable_refund()->set_campaign(view.id);
      result->effects.push_back(Propose{std::move(body)});
      return;
    }
    case CampaignPhase::kRefunded:
      return;
  }
  switch (view.round().phase) {
    case Phase::kIdle:
      return StepIdle(view, result);
    case Phase::kCommit:
      return StepCommit(view, result);
    case Phase::kUpload:
      return StepUpload(view, result);
    case Phase::kAggregated:
      return StepAggregated(view, result);
    case Phase::kScored:
      return StepScored(view, result);
  }
}

void JobEnded(StepResult* result) {
  result->next.job_running = false;
  result->next.job_failures = 0;
}

void OnEvent(const View&, const Wake&, StepResult*) {}

// `deadline_ms` after downtime: later by it, yet no further off than the whole phase is long. The
// downtime is reckoned from the last entry, so it may count time in which the coordinator ran.
uint64_t Extended(uint64_t deadline_ms, uint64_t down_ms, uint64_t now_ms, uint64_t phase_ms) {
  return std::max(deadline_ms, std::min(deadline_ms + down_ms, now_ms + phase_ms));
}

uint64_t PhaseMs(const v1::Terms& terms, Phase phase) {
  switch (phase) {
    case Phase::kIdle:
      return terms.close_ms();
    case Phase::kCommit:
      return terms.commit_ms();
    case Phase::kUpload:
      return terms.upload_ms();
    case Phase::kAggregated:
    case Phase::kScored:
      break;
  }
  return 0;  // these have no deadline
}

void OnEvent(const View& view, const Resumed& event, StepResult* result) {
  EngineState& state = result->next;
  const uint64_t now = view.moment.now_ms;
  if (state.deadline_ms != 0) {
    const uint64_t phase_ms = PhaseMs(view.terms(), state.timed_phase);
    state.deadline_ms = Extended(state.deadline_ms, event.down_ms, now, phase_ms);
  }
  if (state.gather_until_ms != 0) {
    state.gather_until_ms =
        Extended(state.gather_until_ms, event.down_ms, now, view.terms().commit_ms());
  }
}

void OnEvent(const View& view, const AggregateDone& event, StepResult* result) {
  JobEnded(result);
  v1::Intent body;
  v1::Aggregate* aggregate = body.mutable_aggregate();
  *aggregate = event.aggregate;
  aggregate->set_campaign(view.id);
  aggregate->set_round(view.round().number);
  aggregate->set_pass(view.round().pass + 1);
  result->effects.push_back(Propose{std::move(body)});
}

void OnEvent(const View& view, const ScoreDone& event, StepResult* result) {
  JobEnded(result);
  v1::Intent body;
  v1::Score* score = body.mutable_score();
  *score = event.score;
  score->set_campaign(view.id);
  score->set_round(view.round().number);
  score->set_pass(view.round().pass);
  result->effects.push_back(Propose{std::move(body)});
}

void OnEvent(const View& view, const Diverging& event, StepResult* result) {
  JobEnded(result);
  std::vector<uint64_t> accounts = event.accounts;
  std::sort(accounts.begin(), accounts.end());
  ProposeRejects(view, accounts, v1::DIVERGES, view.round().pass, result);
}

void OnEvent(const View& view, const JobFailed& event, StepResult* result) {
  EngineState& state = result->next;
  state.job_running = false;
  if (event.reason == v1::WORKER_FAILED && state.job_failures < kJobRetries) {
    ++state.job_failures;
    return;
  }
  state.job_failures = 0;
  result->effects.push_back(Propose{Abort(view, event.reason)});
}

}  // namespace

StepResult Step(const EngineState& state, const Event& event, const ledger::State& ledger,
                uint64_t campaign, const Moment& moment) {
  const CampaignState* found = ledger.FindCampaign(campaign);
  CT_ASSERT(found != nullptr);
  const View view{ledger, *found, campaign, moment};
  StepResult result;
  result.next = state;
  std::visit([&](const auto& e) { OnEvent(view, e, &result); }, event);
  if (result.effects.empty()) StepWake(view, &result);
  return result;
}

std::string EncodeEngine(const EngineState& state) {
  std::string bytes;
  base::AppendU64(bytes, state.deadline_ms);
  base::AppendU32(bytes, state.timed_round);
  base::AppendU32(bytes, static_cast<uint32_t>(state.timed_phase));
  base::AppendU64(bytes, state.gather_until_ms);
  return bytes;
}

StatusOr<EngineState> DecodeEngine(std::string_view bytes) {
  if (bytes.size() != 24) return DataLoss("an engine row has 24 bytes, not {}", bytes.size());
  const uint32_t phase = base::ReadU32(bytes.data() + 12);
  if (phase > static_cast<uint32_t>(ledger::Phase::kScored)) {
    return DataLoss("an engine row names phase {}, which there is not", phase);
  }
  EngineState state;
  state.deadline_ms = base::ReadU64(bytes.data());
  state.timed_round = base::ReadU32(bytes.data() + 8);
  state.timed_phase = static_cast<ledger::Phase>(phase);
  state.gather_until_ms = base::ReadU64(bytes.data() + 16);
  return state;
}

}  // namespace crowdteach::server
