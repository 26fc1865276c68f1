// ROUND_ABORT: each reason has its own moment, so that a round cannot be dropped to avoid paying
// it.
#include "ledger/round.h"
#include "ledger/state_rules.h"

namespace crowdteach::ledger {
namespace {

Status CheckCommitQuorum(const CampaignState& campaign, uint64_t time_ms) {
  const size_t count = Commitments(campaign.round);
  const uint32_t quorum = campaign.open.terms().quorum();
  if (time_ms < CommitDeadlineMs(campaign)) {
    return FailedPrecondition("teachers may commit until {} ms and it is {} ms",
                              CommitDeadlineMs(campaign), time_ms);
  }
  if (count < quorum) return OkStatus();
  return FailedPrecondition("{} have committed and the quorum is {}: close the commit phase", count,
                            quorum);
}

Status CheckTooFew(const CampaignState& campaign) {
  const size_t included = Included(campaign.round).size();
  const uint32_t quorum = campaign.open.terms().quorum();
  if (included < quorum) return OkStatus();
  return FailedPrecondition("{} updates are left and the quorum is {}: go on with AGGREGATE",
                            included, quorum);
}

}  // namespace

Status State::Rules::CheckPassComplete(uint64_t id, const CampaignState& campaign) const {
  if (campaign.round.phase == Phase::kUpload) {
    const std::vector<uint64_t> awaited = Awaited(campaign);
    if (!awaited.empty()) {
      return FailedPrecondition("account {} has neither revealed nor been rejected",
                                awaited.front());
    }
    const std::vector<uint64_t> duplicates = Duplicates(campaign);
    if (!duplicates.empty()) {
      return FailedPrecondition("account {}'s update is a duplicate: reject it first",
                                duplicates.front());
    }
    return OkStatus();
  }
  const std::vector<uint64_t> uncovered = Uncovered(state, id);
  if (!uncovered.empty()) {
    return FailedPrecondition("account {} is uncovered: reject it first", uncovered.front());
  }
  if (!RejectedSinceAggregate(campaign.round)) {
    return FailedPrecondition("nobody was rejected in pass {}: it stands", campaign.round.pass);
  }
  return OkStatus();
}

Status State::Rules::CheckAbort(const v1::RoundAbort& body, const CampaignState& campaign) const {
  const RoundState& round = campaign.round;
  switch (body.reason()) {
    case v1::COMMIT_QUORUM:
      return CheckCommitQuorum(campaign, time_ms);
    case v1::REVEAL_QUORUM:
    case v1::COVER_QUORUM:
      CT_RETURN_IF_ERROR(CheckPassComplete(body.campaign(), campaign));
      return CheckTooFew(campaign);
    case v1::NOT_FINITE:
      if (!RejectedSinceAggregate(round)) return OkStatus();
      return FailedPrecondition("a diverging update was rejected: AGGREGATE the next pass");
    case v1::SCORE_RANGE:
      if (round.phase == Phase::kAggregated) return OkStatus();
      if (!Uncovered(state, body.campaign()).empty() || RejectedSinceAggregate(round)) {
        return FailedPrecondition("pass {} has uncovered teachers: they are rejected first",
                                  round.pass);
      }
      if (!CheckScoreRange(campaign, round.score).ok()) return OkStatus();
      return FailedPrecondition("every score of pass {} is in range: SETTLE", round.pass);
    case v1::WORKER_FAILED:
      // Once the scores are recorded their payment cannot be dropped any more.
      if (round.phase == Phase::kAggregated) return OkStatus();
      return CheckPassComplete(body.campaign(), campaign);
    default:
      return InvalidArgument("ROUND_ABORT without a reason");
  }
}

State::Rules::Decision State::Rules::On(const v1::RoundAbort& body) const {
  CT_RETURN_IF_ERROR(ByOperator());
  std::vector<Phase> phases;
  switch (body.reason()) {
    case v1::COMMIT_QUORUM:
      phases = {Phase::kCommit};
      break;
    case v1::REVEAL_QUORUM:
      phases = {Phase::kUpload, Phase::kAggregated};
      break;
    case v1::COVER_QUORUM:
      phases = {Phase::kScored};
      break;
    case v1::NOT_FINITE:
      phases = {Phase::kAggregated};
      break;
    case v1::SCORE_RANGE:
      phases = {Phase::kAggregated, Phase::kScored};
      break;
    case v1::WORKER_FAILED:
      phases = {Phase::kUpload, Phase::kAggregated, Phase::kScored};
      break;
    default:
      return InvalidArgument("ROUND_ABORT without a reason");
  }
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign,
                      OpenRound(body.campaign(), body.round(), phases));
  CT_RETURN_IF_ERROR(CheckAbort(body, *campaign));
  return Change{{}, [&body, time = time_ms](State& next) {
                  CampaignState& aborted = next.campaigns_.at(body.campaign());
                  EndRound(&aborted, time);
                  aborted.aborts_in_row++;
                  if (aborted.aborts_in_row >= aborted.open.terms().max_aborts()) {
                    aborted.phase = CampaignPhase::kEnded;
                  }
                }};
}

}  // namespace crowdteach::ledger
