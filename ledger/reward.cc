#include "ledger/reward.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "ledger/state_rules.h"
#include "proto/base/assert.h"

namespace crowdteach::ledger {
namespace {

bool IsUncovered(const State& state, uint64_t campaign, uint64_t credits_per_nat,
                 const v1::ScoreLine& line) {
  if (line.phi_q32() < -kMaxScoreQ32) return true;
  return -Reward(credits_per_nat, line.phi_q32()) > Cover(state, campaign, line.account());
}

// What one covered line pays or charges.
Status PostReward(const State& state, uint64_t campaign, uint64_t credits_per_nat,
                  const v1::ScoreLine& line, PostingList* out) {
  const Int128 reward = Reward(credits_per_nat, line.phi_q32());
  const BalanceKey held = Held(campaign, line.account());
  const BalanceKey escrow = Escrow(campaign);
  if (reward > kMaxIssued) {
    return OutOfRange("the reward {} of account {} is more than all credits",
                      base::WideToDecimal(reward), line.account());
  }
  if (reward >= 0) {
    out->Move(escrow, held, static_cast<int64_t>(reward));
    return OkStatus();
  }
  const auto charge = static_cast<int64_t>(-reward);  // covered, so it fits
  const int64_t from_held = std::min(charge, state.Balance(held));
  out->Move(held, escrow, from_held);
  out->Move(Stake(campaign, line.account()), escrow, charge - from_held);
  return OkStatus();
}

}  // namespace

Int128 Reward(uint64_t credits_per_nat, int64_t phi_q32) {
  // 2^63 * 2^64 does not fit; rates are below 2^62 by the terms.
  CT_ASSERT(credits_per_nat < uint64_t{1} << 63);
  return (static_cast<Int128>(credits_per_nat) * phi_q32) >> 32;  // arithmetic: rounds down
}

int64_t Cover(const State& state, uint64_t campaign, uint64_t account) {
  return state.Balance(Held(campaign, account)) + state.Balance(Stake(campaign, account));
}

std::vector<uint64_t> Uncovered(const State& state, uint64_t campaign, const v1::Score& score) {
  std::vector<uint64_t> accounts;
  const CampaignState* found = state.FindCampaign(campaign);
  if (found == nullptr) return accounts;
  const uint64_t rate = found->open.terms().credits_per_nat();
  for (const v1::ScoreLine& line : score.lines()) {
    const auto seat = found->round.seats.find(line.account());
    const bool rejected =
        seat != found->round.seats.end() && seat->second.rejected != v1::REJECT_REASON_UNSPECIFIED;
    if (!rejected && IsUncovered(state, campaign, rate, line)) accounts.push_back(line.account());
  }
  return accounts;
}

std::vector<uint64_t> Uncovered(const State& state, uint64_t campaign) {
  const CampaignState* found = state.FindCampaign(campaign);
  if (found == nullptr || found->round.phase != Phase::kScored) return {};
  return Uncovered(state, campaign, found->round.score);
}

Status CheckScoreRange(const CampaignState& campaign, const v1::Score& score) {
  for (const v1::ScoreLine& line : score.lines()) {
    const auto enrolment = campaign.enrolments.find(line.account());
    const Int128 before = enrolment == campaign.enrolments.end() ? 0 : enrolment->second.score_q32;
    const Int128 total = before + line.phi_q32();
    if (line.phi_q32() > kMaxScoreQ32 || total > kMaxScoreQ32 || total < -kMaxScoreQ32) {
      return OutOfRange(
          "the score {} of account {} (total {}) is beyond 2^62 units: abort the round",
          line.phi_q32(), line.account(), base::WideToDecimal(total));
    }
  }
  return OkStatus();
}

StatusOr<std::vector<v1::Posting>> Settlement(const State& state, uint64_t campaign,
                                              const v1::Score& score) {
  const CampaignState* found = state.FindCampaign(campaign);
  if (found == nullptr) return NotFound("there is no campaign {}", campaign);
  const std::vector<uint64_t> uncovered = Uncovered(state, campaign, score);
  if (!uncovered.empty()) {
    return FailedPrecondition(
        "the charge of account {} exceeds its held credits and stake, {}: reject it as uncovered",
        uncovered.front(), Cover(state, campaign, uncovered.front()));
  }
  CT_RETURN_IF_ERROR(CheckScoreRange(*found, score));
  PostingList postings;
  const uint64_t rate = found->open.terms().credits_per_nat();
  for (const v1::ScoreLine& line : score.lines()) {
    CT_RETURN_IF_ERROR(PostReward(state, campaign, rate, line, &postings));
  }
  return std::move(postings).Take();
}

std::vector<int64_t> ShareByScore(int64_t pool, const std::vector<int64_t>& scores_q32) {
  std::vector<int64_t> shares(scores_q32.size(), 0);
  Int128 total = 0;
  for (const int64_t score : scores_q32) total += std::max<int64_t>(0, score);
  if (total == 0 || pool <= 0) return shares;
  std::vector<Int128> remainders(scores_q32.size(), 0);
  int64_t left = pool;
  for (size_t i = 0; i < scores_q32.size(); ++i) {
    const Int128 product = static_cast<Int128>(pool) * std::max<int64_t>(0, scores_q32[i]);
    shares[i] = static_cast<int64_t>(product / total);
    remainders[i] = product % total;
    left -= shares[i];
  }
  std::vector<size_t> order(scores_q32.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  CT_ASSERT(static_cast<size_t>(left) <= order.size());
  for (size_t i = 0; i < static_cast<size_t>(left); ++i) shares[order[i]] += 1;
  return shares;
}

}  // namespace crowdteach::ledger
