#include "ledger/selection.h"

#include <algorithm>
#include <utility>

#include "ledger/reward.h"
#include "proto/base/bytes.h"
#include "proto/base/weights.h"

namespace crowdteach::ledger {
namespace {

// The first `count` candidates by SHA-256(seed | u64 account), by account.
std::vector<uint64_t> Draw(const base::Hash& seed, const std::vector<uint64_t>& candidates,
                           size_t count) {
  std::vector<std::pair<base::Hash, uint64_t>> lots;
  lots.reserve(candidates.size());
  for (const uint64_t account : candidates) {
    std::string ticket = base::Bytes(seed);
    base::AppendU64(ticket, account);
    lots.emplace_back(base::Sha256Of(ticket), account);
  }
  std::sort(lots.begin(), lots.end());
  lots.resize(std::min(count, lots.size()));
  std::vector<uint64_t> drawn;
  drawn.reserve(lots.size());
  for (const auto& [lot, account] : lots) drawn.push_back(account);
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

std::vector<uint64_t> WeightsOf(const CampaignState& campaign,
                                const std::vector<uint64_t>& selected) {
  if (campaign.open.terms().weighting() == v1::EQUAL) {
    return std::vector<uint64_t>(selected.size(), 1);
  }
  std::vector<uint64_t> examples;
  examples.reserve(selected.size());
  for (const uint64_t account : selected) {
    examples.push_back(campaign.enrolments.at(account).examples);
  }
  return base::CappedWeights(examples);
}

}  // namespace

std::vector<uint64_t> CandidatesOf(const State& state, uint64_t campaign,
                                   std::vector<uint64_t> connected) {
  const CampaignState* found = state.FindCampaign(campaign);
  if (found == nullptr) return {};
  const Int128 least = found->open.terms().min_cover();
  std::sort(connected.begin(), connected.end());
  connected.erase(std::unique(connected.begin(), connected.end()), connected.end());
  std::erase_if(connected, [&](uint64_t account) {
    return found->enrolments.count(account) == 0 || Cover(state, campaign, account) < least;
  });
  return connected;
}

StatusOr<v1::RoundOpen> Select(const State& state, uint64_t campaign,
                               const std::vector<uint64_t>& candidates) {
  const CampaignState* found = state.FindCampaign(campaign);
  if (found == nullptr) return NotFound("there is no campaign {}", campaign);
  const v1::Terms& terms = found->open.terms();
  if (candidates.size() < terms.quorum()) {
    return FailedPrecondition("campaign {} has {} candidates and its quorum is {}", campaign,
                              candidates.size(), terms.quorum());
  }
  const uint32_t round = found->round.number + 1;
  const base::Hash seed = SelectionSeed(campaign, round, found->last_salts);
  const std::vector<uint64_t> selected = Draw(seed, candidates, terms.teachers());
  const std::vector<uint64_t> weights = WeightsOf(*found, selected);
  v1::RoundOpen open;
  open.set_campaign(campaign);
  open.set_round(round);
  open.set_base_digest(base::Bytes(found->model_digest));
  open.mutable_candidates()->Add(candidates.begin(), candidates.end());
  open.set_seed(base::Bytes(seed));
  open.mutable_selected()->Add(selected.begin(), selected.end());
  open.mutable_weights()->Add(weights.begin(), weights.end());
  return open;
}

base::Hash SelectionSeed(uint64_t campaign, uint32_t round, const std::vector<std::string>& salts) {
  std::string text = "crowdteach/v1/select\n";
  base::AppendU64(text, campaign);
  base::AppendU32(text, round);
  for (const std::string& salt : salts) text += salt;
  return base::Sha256Of(text);
}

}  // namespace crowdteach::ledger
