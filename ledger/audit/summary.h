// A campaign's books in figures for people: what `crowdteach-audit show` prints.
//
// Scores are nats, rewards and stakes credits. Floating point is for showing only: every figure
// follows from the integers of the log. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ledger/audit/replay.h"

namespace crowdteach::audit {

// One teacher in one round.
struct TeacherRound {
  uint64_t account = 0;
  uint32_t pass = 0;  // the last in which it was scored; 0: never
  bool included = false;
  std::string rejected;  // the reason's name, empty if not rejected
  // Of that pass. `counted`: it stands in the teacher's total (the round was settled, or the
  // teacher was rejected as uncovered).
  uint64_t weight = 0;
  uint64_t clip_factor = 0;  // units of 2^-32, 0: not clipped
  double score_nats = 0;
  double stderr_nats = 0;
  bool counted = false;
  int64_t reward_credits = 0;  // by SETTLE; or lost as uncovered
};

struct RoundSummary {
  uint32_t round = 0;
  std::string outcome;  // "settled", "open", "aborted: ‹reason›"
  uint32_t pass = 0;    // the last one; 0: none
  bool settled = false;
  // After the round; of a settled one.
  double loss = 0;
  double accuracy = 0;
  double value_nats = 0;               // fall of the loss
  size_t included = 0;                 // teachers, those filtered out too
  std::vector<TeacherRound> teachers;  // the selected ones, by account
};

struct TeacherSummary {
  uint64_t account = 0;
  std::string name;
  uint64_t examples = 0;       // as claimed at enrolment
  double score_nats = 0;       // sum of the counted scores
  double stderr_nats = 0;      // root of the sum of their squared errors
  int64_t reward_credits = 0;  // sum over rounds; negative: charged more than earned
  int64_t stake_credits = 0;   // locked less what charges took; RELEASE returns it
};

struct CampaignSummary {
  uint64_t campaign = 0;
  std::string name;
  std::string owner;
  std::string phase;
  uint32_t settled_rounds = 0;
  std::vector<double> loss;      // before round 1, then after each settled round
  std::vector<double> accuracy;  // likewise
  double value_nats = 0;         // fall of the loss over all settled rounds
  std::string model_digest;      // hex, after the last settled round
  uint64_t budget_credits = 0;
  int64_t escrow_credits = 0;  // what is left
  std::vector<RoundSummary> rounds;
  std::vector<TeacherSummary> teachers;  // by account
};

struct AccountSummary {
  uint64_t account = 0;
  std::string name;
  std::string role;
  int64_t available_credits = 0;
};

struct Summary {
  std::string asset;
  uint64_t entries = 0;
  std::vector<CampaignSummary> campaigns;
  std::vector<AccountSummary> accounts;
};

struct SummaryFilter {
  std::optional<uint64_t> campaign;
  std::string teacher;            // name or account; empty: all
  std::optional<uint32_t> round;  // leaves totals as they are
};

// Of a replay without fault. kInvalidArgument: nothing fits the filter.
StatusOr<Summary> Summarise(const Replay& replay, const SummaryFilter& filter);

// show_output.cc, each ends in a newline.
std::string SummaryTable(const Summary& summary);
std::string SummaryJson(const Summary& summary);
// One line a teacher and round.
std::string SummaryCsv(const Summary& summary);

}  // namespace crowdteach::audit
