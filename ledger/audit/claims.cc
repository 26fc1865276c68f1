#include "ledger/audit/claims.h"

#include "ledger/round.h"
#include "ledger/selection.h"

namespace crowdteach::audit {
namespace {

using ledger::CampaignState;

// Whether a teacher who could have been a candidate is none: only the coordinator saw who was
// connected.
bool LeavesOut(const v1::RoundOpen& body, const CampaignState& campaign,
               const ledger::State& state) {
  std::vector<uint64_t> enrolled;
  for (const auto& [account, enrolment] : campaign.enrolments) enrolled.push_back(account);
  return ledger::CandidatesOf(state, body.campaign(), std::move(enrolled)).size() >
         static_cast<size_t>(body.candidates_size());
}

std::optional<Claim> ClaimOf(const v1::UpdateReject& body) {
  switch (body.reason()) {
    case v1::NO_REVEAL:
      return Claim::kNoReveal;
    case v1::SHAPE:
      return Claim::kShape;
    case v1::NORM:
      return Claim::kNorm;
    case v1::DIVERGES:
      return Claim::kDiverges;
    default:  // DUPLICATE follows from the reveals, UNCOVERED from the scores
      return std::nullopt;
  }
}

std::optional<Claim> ClaimOf(const v1::RoundAbort& body, const CampaignState& campaign) {
  switch (body.reason()) {
    case v1::COMMIT_QUORUM:
      return Claim::kNotCommitted;
    case v1::NOT_FINITE:
      return Claim::kNotFinite;
    case v1::SCORE_RANGE:
      // With the pass's scores on the ledger, that they are out of range is the rules' to check.
      if (campaign.round.score.pass() == campaign.round.pass) return std::nullopt;
      return Claim::kScoreRange;
    case v1::WORKER_FAILED:
      return Claim::kWorkerFailed;
    default:  // the other quorums follow from rejections
      return std::nullopt;
  }
}

}  // namespace

std::optional<Claim> ClaimOf(const ledger::LoggedEntry& entry, const ledger::State& state) {
  const v1::Intent& intent = entry.intent;
  const auto when = [](bool holds, Claim claim) {
    return holds ? std::optional(claim) : std::nullopt;
  };
  switch (intent.body_case()) {
    case v1::Intent::kIssue:
      return Claim::kPaid;
    case v1::Intent::kEnrol:
      return Claim::kExamples;
    case v1::Intent::kCampaignOpen:
      return Claim::kMeasured;
    case v1::Intent::kScore:
      return when(intent.score().path_nodes() != 0, Claim::kMeasured);
    case v1::Intent::kRoundOpen: {
      const v1::RoundOpen& body = intent.round_open();
      return when(LeavesOut(body, *state.FindCampaign(body.campaign()), state),
                  Claim::kNotConnected);
    }
    case v1::Intent::kRoundCommitClose: {
      const v1::RoundCommitClose& body = intent.round_commit_close();
      return when(!ledger::EveryoneCommitted(state.FindCampaign(body.campaign())->round),
                  Claim::kNotCommitted);
    }
    case v1::Intent::kUpdateReject:
      return ClaimOf(intent.update_reject());
    case v1::Intent::kRoundAbort:
      return ClaimOf(intent.round_abort(), *state.FindCampaign(intent.round_abort().campaign()));
    default:
      return std::nullopt;
  }
}

}  // namespace crowdteach::audit
