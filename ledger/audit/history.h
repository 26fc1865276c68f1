// What a log tells of its campaigns, collected while it is replayed: rounds, passes, scores, money.
//
// Nothing is judged here: feed it only entries that ledger::State has applied. Plain values; the
// memory grows with the scores recorded, not with the models.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/audit/claims.h"
#include "ledger/entry.h"
#include "ledger/state.h"
#include "proto/base/digest.h"

namespace crowdteach::audit {

struct Pass {
  uint64_t aggregate_entry = 0;
  v1::Aggregate aggregate;
  uint64_t score_entry = 0;
  std::optional<v1::Score> score;
};

struct Rejection {
  uint64_t entry = 0;
  v1::UpdateReject body;
  std::optional<base::Hash> update;  // as revealed
};

enum class RoundOutcome { kOpen, kSettled, kAborted };

struct Round {
  uint32_t number = 0;
  v1::RoundOpen open;
  std::vector<Pass> passes;  // 1, 2, …
  std::vector<Rejection> rejections;
  RoundOutcome outcome = RoundOutcome::kOpen;
  v1::AbortReason aborted = v1::ABORT_REASON_UNSPECIFIED;
  // Credits by account: what SETTLE paid (or charged), what UNCOVERED took. Held and stake alike.
  std::map<uint64_t, int64_t> rewards;

  // The score that counts for `account`: of the last pass in which it was scored, if the round was
  // settled or it was rejected as uncovered. Null if there is none.
  const v1::ScoreLine* CountedScore(uint64_t account) const;
  // The pass that was settled; null unless one was.
  const Pass* Settled() const;
};

// Where a campaign's credits went so far, by its postings. Both adds up:
//   budget + charged = paid + shared + refunded + surplus + what is left in escrow
//   staked + paid = charged + lost + returned + what is left held and at stake
struct Money {
  int64_t budget = 0;    // CAMPAIGN_OPEN: owner -> escrow
  int64_t paid = 0;      // SETTLE: escrow -> held
  int64_t charged = 0;   // SETTLE: held and stake -> escrow
  int64_t staked = 0;    // ENROL: available -> stake
  int64_t lost = 0;      // UPDATE_REJECT UNCOVERED: held and stake -> treasury
  int64_t returned = 0;  // RELEASE: held and stake -> available
  int64_t shared = 0;    // RELEASE after a default close: escrow -> available
  int64_t refunded = 0;  // REFUND: escrow -> owner
  int64_t surplus = 0;   // REFUND: escrow -> treasury
};

struct CampaignHistory {
  uint64_t open_entry = 0;
  std::vector<Round> rounds;  // settled and aborted ones, and the open one
  // By account: what ENROL locked, less what charges took. RELEASE returns it.
  std::map<uint64_t, int64_t> stakes;
  std::map<uint64_t, int64_t> staked;  // by account: what ENROL locked
  Money money;
  uint64_t close_entry = 0;  // 0: not closed
};

struct History {
  std::map<uint64_t, CampaignHistory> campaigns;  // by index of CAMPAIGN_OPEN
  Claims claims;

  // `state`: just after it applied `entry`.
  void Add(const ledger::LoggedEntry& entry, const ledger::State& state);
};

}  // namespace crowdteach::audit
