// When the coordinator proposes what: the pure heart of a campaign's rounds.
//
//   Step(state, event, moment) -> next state + effects
//
// The legal transitions (ledger/round.h decides what is legal; Step only when to propose it):
//
//   waiting --candidates--> commit --all or deadline--> upload --all or deadline--> aggregate(p)
//   aggregate(p) --> score(p) --> settle --> waiting          any open phase --> abort --> waiting
//   score(p) --uncovered or diverging--> aggregate(p+1)
//   ended --close deadline--> closed --dispute window--> released --> refunded
//
// Call order: feed one event, carry out the effects in order (a proposal must be logged before the
// next call), then feed Wake again until there are no effects. Nothing here reads a clock, draws a
// random number or touches a tensor: time and results arrive in `Moment` and events, and the
// campaign's phase is the ledger's. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/state.h"
#include "proto/base/status.h"

namespace crowdteach::server {

// What the ledger does not hold. Plain data; kept as one row a campaign (EncodeEngine).
struct EngineState {
  // The deadline of `timed_phase` in `timed_round` (kIdle: to open a round or close), and how long
  // to gather candidates. Downtime moves them.
  uint64_t deadline_ms = 0;
  uint32_t timed_round = 0;
  ledger::Phase timed_phase = ledger::Phase::kIdle;
  uint64_t gather_until_ms = 0;  // 0: a quorum has not come together yet
  bool job_running = false;      // an aggregate or score job, of the current pass
  uint32_t job_failures = 0;     // in a row
};

// Events.
struct Wake {};   // time passed, or an entry was logged, or somebody came or went
struct Resumed {  // the coordinator was down that long
  uint64_t down_ms = 0;
};
struct AggregateDone {  // everything of AGGREGATE but who, which round and which pass
  v1::Aggregate aggregate;
};
struct ScoreDone {
  v1::Score score;
};
struct Diverging {  // with these updates alone the loss is not finite
  std::vector<uint64_t> accounts;
};
struct JobFailed {  // NOT_FINITE, SCORE_RANGE or WORKER_FAILED
  v1::AbortReason reason = v1::ABORT_REASON_UNSPECIFIED;
};
using Event = std::variant<Wake, Resumed, AggregateDone, ScoreDone, Diverging, JobFailed>;

// Effects.
struct Propose {  // log this as the operator; `body` holds nothing else
  v1::Intent body;
};
struct StartAggregate {
  uint32_t pass = 0;
};
struct StartScore {
  uint32_t pass = 0;
};
using Effect = std::variant<Propose, StartAggregate, StartScore>;

struct Moment {
  uint64_t now_ms = 0;
  std::vector<uint64_t> connected;  // teachers attending this campaign, in any order
};

struct StepResult {
  EngineState next;
  std::vector<Effect> effects;
  uint64_t wake_ms = 0;  // call again at this time at the latest; 0: only when something happens
};

// A failed job is tried again this often before its round aborts (WORKER_FAILED only).
inline constexpr uint32_t kJobRetries = 1;

StepResult Step(const EngineState& state, const Event& event, const ledger::State& ledger,
                uint64_t campaign, const Moment& moment);

// The row kept for a campaign. A running job is not part of it: after a restart it starts anew.
std::string EncodeEngine(const EngineState& state);
StatusOr<EngineState> DecodeEngine(std::string_view bytes);

}  // namespace crowdteach::server
