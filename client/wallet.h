// An account's money, added up from the receipts of its entries, and why a round paid or charged
// what it did. Nothing here is anybody's word: a balance is the sum of postings on the ledger, and
// a round is computed again from its score.
//
// That no entry is missing receipts cannot show; an audit of the whole log does.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ledger/entry.h"
#include "proto/base/status.h"
#include "proto/base/wide.h"

namespace crowdteach::client {

// Verified, ascending by index.
using Entries = std::vector<const ledger::LoggedEntry*>;

struct CampaignMoney {
  uint64_t campaign = 0;
  std::string name;       // "" unless its CAMPAIGN_OPEN is among the entries
  int64_t stake = 0;      // credits
  int64_t held = 0;       // credits
  int64_t charged = 0;    // credits taken from held and stake by rounds, in all
  int64_t escrow = 0;     // an owner's: paid in, by what its own entries post
  int64_t score_q32 = 0;  // over settled rounds
  uint32_t rounds = 0;    // scored and settled
};

struct Wallet {
  uint64_t account = 0;
  std::string name;
  int64_t available = 0;
  std::vector<CampaignMoney> campaigns;  // by number
};
Wallet MakeWallet(uint64_t account, const Entries& entries);

// What one round did to one account: reward = floor(rate * phi / 2^32), and
// product = reward * 2^32 + remainder.
struct Explanation {
  uint64_t account = 0;
  uint64_t campaign = 0;
  std::string name;
  uint32_t round = 0;
  uint32_t pass = 0;
  uint64_t score_index = 0;   // entries
  uint64_t posted_index = 0;  // SETTLE, or UPDATE_REJECT of somebody uncovered
  uint64_t terms_index = 0;   // CAMPAIGN_OPEN
  int64_t phi_q32 = 0;
  uint64_t credits_per_nat = 0;
  base::Int128 product = 0;
  base::Int128 reward = 0;
  uint64_t remainder = 0;
  bool uncovered = false;  // the charge exceeded held and stake; both went to the treasury
  int64_t held_before = 0;
  int64_t stake_before = 0;
  int64_t to_held = 0;  // what the entry posts
  int64_t to_stake = 0;
};

// kNotFound: no receipt of such a round is among the entries. kFailedPrecondition: the round did
// not score this account, and why. kDataLoss: what was posted is not what the rule gives.
StatusOr<Explanation> ExplainRound(uint64_t account, const Entries& entries, uint64_t campaign,
                                   uint32_t round);
// Several lines whose numbers add up.
std::string ExplanationText(const Explanation& explanation);

}  // namespace crowdteach::client
