// ISSUE, CAMPAIGN_OPEN, CAMPAIGN_CLOSE, RELEASE, REFUND: the doors of the money.
#include <algorithm>
#include <iterator>

#include "ledger/round.h"
#include "ledger/state_rules.h"
#include "ledger/terms.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

constexpr uint64_t kIssuer = 1;

uint32_t ReleaseParts(const CampaignState& campaign) {
  const size_t teachers = campaign.enrolments.size();
  return static_cast<uint32_t>(std::max<size_t>(1, (teachers + kPartTeachers - 1) / kPartTeachers));
}

// What each enrolled teacher gets of the escrow, by account: something in a default close only.
std::vector<int64_t> DefaultShares(const CampaignState& campaign) {
  std::vector<int64_t> scores;
  for (const auto& [account, enrolment] : campaign.enrolments) {
    scores.push_back(enrolment.score_q32);
  }
  return ShareByScore(campaign.share_pool, scores);
}

// Nothing may be left behind in a campaign that is over.
bool HasBalances(const State& state, uint64_t campaign) {
  if (state.Balance(Escrow(campaign)) != 0) return true;
  for (const auto& [account, enrolment] : state.FindCampaign(campaign)->enrolments) {
    if (Cover(state, campaign, account) != 0) return true;
  }
  return false;
}

}  // namespace

State::Rules::Decision State::Rules::On(const v1::Issue& body) const {
  if (intent.account() != kIssuer) {
    return PermissionDenied("account {} issues credits: only the issuer, account {}, does",
                            intent.account(), kIssuer);
  }
  if (state.FindAccount(body.to()) == nullptr) {
    return NotFound("there is no account {} to issue to", body.to());
  }
  const int64_t issued = -state.Balance(Issued());
  if (body.amount() < 1 || body.amount() > static_cast<uint64_t>(kMaxIssued - issued)) {
    return InvalidArgument("amount {}: must be 1 to {} ({} are issued, never more than {})",
                           body.amount(), kMaxIssued - issued, issued, kMaxIssued);
  }
  PostingList postings;
  postings.Move(Issued(), Avail(body.to()), static_cast<int64_t>(body.amount()));
  return Change{std::move(postings).Take(), [](State&) {}};
}

State::Rules::Decision State::Rules::On(const v1::CampaignOpen& body) const {
  const Account& owner = state.accounts_.at(intent.account());
  if (owner.role != v1::OWNER) {
    return PermissionDenied("account {} is no owner: only owners open campaigns", intent.account());
  }
  CT_RETURN_IF_ERROR(ValidateOpen(body));
  const uint64_t budget = body.terms().budget();
  CT_RETURN_IF_ERROR(Afford(intent.account(), budget, "the budget"));
  CT_ASSIGN_OR_RETURN(const base::Hash model, base::HashFromBytes(body.model_digest()));
  PostingList postings;
  postings.Move(Avail(intent.account()), Escrow(state.size_), static_cast<int64_t>(budget));
  return Change{std::move(postings).Take(), [*this, &body, model](State& next) {
                  CampaignState& campaign = next.campaigns_[next.size_];
                  campaign.owner = intent.account();
                  campaign.open = body;
                  campaign.last_round_ms = time_ms;
                  campaign.model_digest = model;
                  campaign.loss_q32 = body.loss_q32();
                  campaign.correct = body.correct();
                  campaign.zero_update = ZeroUpdateDigest(body.parameters());
                }};
}

State::Rules::Decision State::Rules::On(const v1::CampaignClose& body) const {
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign, Campaign(body.campaign()));
  const bool by_default = intent.account() == 0;
  if (!by_default && intent.account() != campaign->owner) {
    return PermissionDenied("campaign {} is account {}'s to close, not account {}'s",
                            body.campaign(), campaign->owner, intent.account());
  }
  if (campaign->phase != CampaignPhase::kRunning && campaign->phase != CampaignPhase::kEnded) {
    return FailedPrecondition("campaign {} is {} already", body.campaign(), Name(campaign->phase));
  }
  if (campaign->round.phase != Phase::kIdle) {
    return FailedPrecondition(
        "round {} of campaign {} is open: close when it is settled or aborted",
        campaign->round.number, body.campaign());
  }
  if (by_default) {
    const uint64_t deadline_ms = campaign->last_round_ms + campaign->open.terms().close_ms();
    if (!body.validation_digest().empty()) {
      return InvalidArgument("the operator's default close reveals nothing");
    }
    if (time_ms < deadline_ms) {
      return FailedPrecondition("the owner may close until {} ms and it is {} ms", deadline_ms,
                                time_ms);
    }
  } else if (body.validation_digest() != campaign->open.validation_digest()) {
    return InvalidArgument("validation digest {}: the campaign committed to {}",
                           base::Hex(body.validation_digest()),
                           base::Hex(campaign->open.validation_digest()));
  }
  return Change{{}, [*this, &body, by_default](State& next) {
                  CampaignState& closed = next.campaigns_.at(body.campaign());
                  closed.phase = CampaignPhase::kClosed;
                  closed.closed_ms = time_ms;
                  closed.default_close = by_default;
                  if (by_default) closed.share_pool = next.Balance(Escrow(body.campaign()));
                }};
}

State::Rules::Decision State::Rules::On(const v1::Release& body) const {
  CT_RETURN_IF_ERROR(ByOperator());
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign, Campaign(body.campaign()));
  if (campaign->phase != CampaignPhase::kClosed) {
    return FailedPrecondition("campaign {} is {}: RELEASE follows CAMPAIGN_CLOSE", body.campaign(),
                              Name(campaign->phase));
  }
  const uint64_t release_ms = campaign->closed_ms + campaign->open.terms().dispute_ms();
  if (time_ms < release_ms) {
    return FailedPrecondition("the dispute window is open until {} ms and it is {} ms", release_ms,
                              time_ms);
  }
  const uint32_t parts = ReleaseParts(*campaign);
  if (body.part() != campaign->released_parts || body.parts() != parts) {
    return FailedPrecondition("RELEASE part {} of {}: next is part {} of {}", body.part(),
                              body.parts(), campaign->released_parts, parts);
  }
  const std::vector<int64_t> shares = DefaultShares(*campaign);
  const size_t begin = body.part() * kPartTeachers;
  const size_t end = std::min(begin + kPartTeachers, shares.size());
  PostingList postings;
  auto enrolled = std::next(campaign->enrolments.begin(), static_cast<ptrdiff_t>(begin));
  for (size_t i = begin; i < end; ++i, ++enrolled) {
    const auto& [teacher, enrolment] = *enrolled;
    const BalanceKey stake = Stake(body.campaign(), teacher);
    const BalanceKey held = Held(body.campaign(), teacher);
    // What charges took of the stake was the teacher's own part first: the grant is returned first.
    const int64_t grant = std::min(state.Balance(stake), static_cast<int64_t>(enrolment.grant));
    postings.Move(Escrow(body.campaign()), Avail(teacher), shares[i]);
    postings.Move(held, Avail(teacher), state.Balance(held));
    postings.Move(stake, Avail(enrolment.grantor), grant);
    postings.Move(stake, Avail(teacher), state.Balance(stake) - grant);
  }
  return Change{std::move(postings).Take(), [&body, parts](State& next) {
                  CampaignState& released = next.campaigns_.at(body.campaign());
                  if (++released.released_parts == parts) released.phase = CampaignPhase::kReleased;
                }};
}

State::Rules::Decision State::Rules::On(const v1::Refund& body) const {
  CT_RETURN_IF_ERROR(ByOperator());
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign, Campaign(body.campaign()));
  if (campaign->phase != CampaignPhase::kReleased) {
    return FailedPrecondition("campaign {} is {}: REFUND follows the last RELEASE", body.campaign(),
                              Name(campaign->phase));
  }
  // An owner never profits from a teacher's loss, and gets nothing back without the reveal.
  const int64_t rest = state.Balance(Escrow(body.campaign()));
  const auto budget = static_cast<int64_t>(campaign->open.terms().budget());
  const int64_t refund = campaign->default_close ? 0 : std::min(rest, budget);
  PostingList postings;
  postings.Move(Escrow(body.campaign()), Avail(campaign->owner), refund);
  postings.Move(Escrow(body.campaign()), Treasury(), rest - refund);
  return Change{std::move(postings).Take(), [&body](State& next) {
                  CT_ASSERT(!HasBalances(next, body.campaign()));
                  next.campaigns_.at(body.campaign()).phase = CampaignPhase::kRefunded;
                }};
}

}  // namespace crowdteach::ledger
