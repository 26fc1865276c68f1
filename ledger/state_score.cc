// AGGREGATE, SCORE, SETTLE.
#include <algorithm>

#include "ledger/round.h"
#include "ledger/state_rules.h"
#include "ledger/terms.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/base/wide.h"

namespace crowdteach::ledger {
namespace {

constexpr uint32_t kScorerVersion = 1;
constexpr uint32_t kMaxGradientBits = 60;

// The integer square root, rounded down, by Newton's method from above.
base::UInt128 SquareRoot(base::UInt128 n) {
  if (n == 0) return 0;
  base::UInt128 root = base::UInt128{1} << 64;
  for (;;) {
    const base::UInt128 next = (root + n / root) / 2;
    if (next >= root) return root;
    root = next;
  }
}

// 0 (not clipped) within the cap C, else f = max(1, floor(C * 2^32 / (isqrt(norm^2) + 1))). The 1
// keeps "clipped to nothing" apart from "not clipped".
uint64_t ClipFactor(base::UInt128 norm_squared, uint64_t cap) {
  const auto wide_cap = static_cast<base::UInt128>(cap);
  if (norm_squared <= wide_cap * wide_cap) return 0;
  const base::UInt128 factor = (wide_cap << 32) / (SquareRoot(norm_squared) + 1);
  return std::max<uint64_t>(1, static_cast<uint64_t>(factor));
}

Status CheckClip(const v1::AggregateLine& line, const v1::Terms& terms) {
  CT_ASSIGN_OR_RETURN(const Int128 norm_squared, base::DecodeWide(line.norm_squared()));
  if (norm_squared < 0) {
    return InvalidArgument("the squared norm of account {} is negative", line.account());
  }
  const auto norm = static_cast<base::UInt128>(norm_squared);
  const auto cap = static_cast<base::UInt128>(terms.norm_cap());
  if (terms.norm_rule() == v1::REJECT && norm > cap * cap) {
    return FailedPrecondition("account {}'s update is over the norm cap: reject it first",
                              line.account());
  }
  const uint64_t factor = ClipFactor(norm, terms.norm_cap());
  if (line.clip_factor() != factor) {
    return InvalidArgument("clip factor {} of account {}: its norm and the cap give {}",
                           line.clip_factor(), line.account(), factor);
  }
  return OkStatus();
}

// Lines are exactly the included teachers, each with its revealed update and its weight.
Status CheckAggregateLines(const CampaignState& campaign, const v1::Aggregate& body) {
  const std::vector<uint64_t> included = Included(campaign.round);
  const uint32_t quorum = campaign.open.terms().quorum();
  if (included.size() < quorum) {
    return FailedPrecondition("{} updates are left and the quorum is {}: abort the round",
                              included.size(), quorum);
  }
  if (static_cast<size_t>(body.lines_size()) != included.size()) {
    return InvalidArgument("{} lines: {} updates are to be aggregated", body.lines_size(),
                           included.size());
  }
  for (int i = 0; i < body.lines_size(); ++i) {
    const v1::AggregateLine& line = body.lines(i);
    if (line.account() != included[i]) {
      return InvalidArgument("line {} is account {}, must be account {}", i, line.account(),
                             included[i]);
    }
    const Seat& seat = campaign.round.seats.at(line.account());
    if (line.update_digest() != base::View(*seat.update)) {
      return InvalidArgument("account {}'s update is {}, it revealed {}", line.account(),
                             base::Hex(line.update_digest()), base::Hex(*seat.update));
    }
    if (line.weight() != seat.weight) {
      return InvalidArgument("weight {} of account {}: ROUND_OPEN says {}", line.weight(),
                             line.account(), seat.weight);
    }
    CT_RETURN_IF_ERROR(CheckClip(line, campaign.open.terms()));
  }
  return OkStatus();
}

// One update has one norm: a later pass repeats what the pass before said.
Status CheckRepeatedNorms(const v1::Aggregate& before, const v1::Aggregate& body) {
  auto old = before.lines().begin();
  for (const v1::AggregateLine& line : body.lines()) {
    while (old->account() != line.account()) ++old;
    if (old->norm_squared() != line.norm_squared()) {
      return InvalidArgument("the squared norm of account {} is not that of pass {}",
                             line.account(), before.pass());
    }
  }
  return OkStatus();
}

Status CheckVoidScore(const v1::Score& body) {
  bool zero = body.gradient_bits() == 0 && body.gradient_digest().empty() &&
              body.loss_after_q32() == body.loss_before_q32() &&
              body.correct_after() == body.correct_before();
  for (const v1::ScoreLine& line : body.lines()) {
    zero = zero && line.d().empty() && line.e().empty() && line.phi_q32() == 0 &&
           line.stderr_q32() == 0;
  }
  if (zero) return OkStatus();
  return InvalidArgument("a void step (path_nodes 0) scores zero and keeps loss and counts");
}

Status CheckScoreHead(const CampaignState& campaign, const v1::Score& body) {
  if (body.scorer() != campaign.open.terms().scorer() || body.scorer_version() != kScorerVersion) {
    return InvalidArgument("scorer {} version {}: the terms say {} version {}",
                           v1::ScorerKind_Name(body.scorer()), body.scorer_version(),
                           v1::ScorerKind_Name(campaign.open.terms().scorer()), kScorerVersion);
  }
  if (body.loss_before_q32() != campaign.loss_q32 || body.correct_before() != campaign.correct) {
    return InvalidArgument("before the step: loss {} and {} correct, recorded are {} and {}",
                           body.loss_before_q32(), body.correct_before(), campaign.loss_q32,
                           campaign.correct);
  }
  if (body.loss_after_q32() >= kMaxLossQ32) {
    return InvalidArgument("loss {} after the step: must be below 2^20 nats",
                           body.loss_after_q32());
  }
  if (body.correct_after() > campaign.open.validation_count()) {
    return InvalidArgument("{} correct of {} examples", body.correct_after(),
                           campaign.open.validation_count());
  }
  const uint32_t nodes = body.path_nodes();
  if (nodes == 0) {
    if (campaign.round.aggregate.model_digest() != base::View(campaign.model_digest)) {
      return InvalidArgument("path_nodes 0 says the step is void, but the model has changed");
    }
    return CheckVoidScore(body);
  }
  if (nodes != 2 && nodes != 3 && nodes != 5) {
    return InvalidArgument("path_nodes {}: must be 2, 3, 5, or 0 for a void step", nodes);
  }
  if (body.gradient_bits() > kMaxGradientBits || body.gradient_digest().empty()) {
    return InvalidArgument("gradient_bits {} (at most {}) and the gradient's digest are required",
                           body.gradient_bits(), kMaxGradientBits);
  }
  return OkStatus();
}

Status CheckScoreLines(const v1::Aggregate& aggregate, const v1::Score& body) {
  if (body.lines_size() != aggregate.lines_size()) {
    return InvalidArgument("{} lines: the aggregate has {}", body.lines_size(),
                           aggregate.lines_size());
  }
  Int128 sum = 0;
  for (int i = 0; i < body.lines_size(); ++i) {
    const v1::ScoreLine& line = body.lines(i);
    const v1::AggregateLine& expected = aggregate.lines(i);
    if (line.account() != expected.account() || line.weight() != expected.weight() ||
        line.update_digest() != expected.update_digest() ||
        line.clip_factor() != expected.clip_factor()) {
      return InvalidArgument("line {} (account {}) is not the aggregate's line of account {}", i,
                             line.account(), expected.account());
    }
    CT_RETURN_IF_ERROR(base::DecodeWide(line.d()).status());
    CT_RETURN_IF_ERROR(base::DecodeWide(line.e()).status());
    if (line.d().empty() && line.e().empty() && line.phi_q32() != 0) {
      return InvalidArgument("account {} scores {} with D = E = 0: it must be 0", line.account(),
                             line.phi_q32());
    }
    sum += line.phi_q32();
  }
  const Int128 value =
      static_cast<Int128>(body.loss_before_q32()) - static_cast<Int128>(body.loss_after_q32());
  if (sum != value) {
    return InvalidArgument("the scores add up to {}, the loss fell by {}", base::WideToDecimal(sum),
                           base::WideToDecimal(value));
  }
  return OkStatus();
}

// Always: escrow >= B - floor(b * (L0 - Lt)), so that the rest of the way to loss 0 can be paid.
bool EscrowCovers(const State& state, uint64_t id) {
  const CampaignState& campaign = *state.FindCampaign(id);
  const v1::Terms& terms = campaign.open.terms();
  const Int128 fall =
      static_cast<Int128>(campaign.open.loss_q32()) - static_cast<Int128>(campaign.loss_q32);
  const Int128 paid = (static_cast<Int128>(terms.credits_per_nat()) * fall) >> 32;
  return state.Balance(Escrow(id)) >= static_cast<Int128>(terms.budget()) - paid;
}

}  // namespace

State::Rules::Decision State::Rules::On(const v1::Aggregate& body) const {
  CT_RETURN_IF_ERROR(ByOperator());
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign,
                      OpenRound(body.campaign(), body.round(),
                                {Phase::kUpload, Phase::kAggregated, Phase::kScored}));
  if (body.pass() != campaign->round.pass + 1) {
    return FailedPrecondition("AGGREGATE pass {}: the next is {}", body.pass(),
                              campaign->round.pass + 1);
  }
  CT_RETURN_IF_ERROR(CheckPassComplete(body.campaign(), *campaign));
  CT_RETURN_IF_ERROR(CheckAggregateLines(*campaign, body));
  if (body.pass() > 1) {
    CT_RETURN_IF_ERROR(CheckRepeatedNorms(campaign->round.aggregate, body));
  }
  return Change{{}, [&body](State& next) {
                  RoundState& round = next.campaigns_.at(body.campaign()).round;
                  round.phase = Phase::kAggregated;
                  round.pass = body.pass();
                  round.aggregate = body;
                }};
}

State::Rules::Decision State::Rules::On(const v1::Score& body) const {
  CT_RETURN_IF_ERROR(ByOperator());
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign,
                      OpenRound(body.campaign(), body.round(), {Phase::kAggregated}));
  const RoundState& round = campaign->round;
  if (body.pass() != round.pass) {
    return FailedPrecondition("SCORE pass {}: the round is in pass {}", body.pass(), round.pass);
  }
  if (RejectedSinceAggregate(round)) {
    return FailedPrecondition("an update of pass {} was rejected: AGGREGATE the next pass",
                              round.pass);
  }
  CT_RETURN_IF_ERROR(CheckScoreHead(*campaign, body));
  CT_RETURN_IF_ERROR(CheckScoreLines(round.aggregate, body));
  return Change{{}, [&body](State& next) {
                  RoundState& scored = next.campaigns_.at(body.campaign()).round;
                  scored.phase = Phase::kScored;
                  scored.score = body;
                }};
}

State::Rules::Decision State::Rules::On(const v1::Settle& body) const {
  CT_RETURN_IF_ERROR(ByOperator());
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign,
                      OpenRound(body.campaign(), body.round(), {Phase::kScored}));
  const RoundState& round = campaign->round;
  if (body.pass() != round.pass || body.part() != 0 || body.parts() != 1) {
    return FailedPrecondition("SETTLE pass {} part {} of {}: must be pass {} part 0 of 1",
                              body.pass(), body.part(), body.parts(), round.pass);
  }
  CT_ASSIGN_OR_RETURN(std::vector<v1::Posting> postings,
                      Settlement(state, body.campaign(), round.score));
  if (RejectedSinceAggregate(round)) {
    return FailedPrecondition("an update of pass {} was rejected: AGGREGATE the next pass",
                              round.pass);
  }
  CT_ASSIGN_OR_RETURN(const base::Hash model, base::HashFromBytes(round.aggregate.model_digest()));
  return Change{std::move(postings), [&body, model, time = time_ms](State& next) {
                  CampaignState& settled = next.campaigns_.at(body.campaign());
                  const v1::Score& score = settled.round.score;
                  for (const v1::ScoreLine& line : score.lines()) {
                    settled.enrolments.at(line.account()).score_q32 += line.phi_q32();
                  }
                  settled.model_digest = model;
                  settled.loss_q32 = score.loss_after_q32();
                  settled.correct = score.correct_after();
                  settled.settled_rounds++;
                  settled.aborts_in_row = 0;
                  if (settled.settled_rounds >= settled.open.terms().rounds()) {
                    settled.phase = CampaignPhase::kEnded;
                  }
                  EndRound(&settled, time);
                  CT_ASSERT(EscrowCovers(next, body.campaign()));
                }};
}

}  // namespace crowdteach::ledger
