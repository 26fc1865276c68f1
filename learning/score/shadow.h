// Shadow scorers: what others would pay, for comparison. Launch refuses them under *market*.
//
// Both play the fixed-weight game of scorer.h by evaluating coalitions. Their losses, and so their
// scores, are rounded to 2^-32 nat; an unusable loss is the verdict kNotFinite.
#pragma once

#include "learning/score/scorer.h"

namespace crowdteach::learning {

inline constexpr size_t kMaxExactTeachers = 12;

// φ_i = v(N) - v(N∖i). Not efficient; duplicates of an update earn little or nothing.
// One loss a teacher and one for the next model.
class LeaveOneOut : public Scorer {
 public:
  ScorerTraits traits() const override { return {"leave-one-out", false, ScoreUnit::kNats, true}; }
  StatusOr<Score> Run(const ScoreRequest& request, LossOracle& oracle,
                      TileExecutor& executor) override;
};

// φ_i = Σ_{S∌i} |S|!(n-|S|-1)!/n! · (v(S∪i) - v(S)), over all 2^n coalitions in Gray-code order, so
// that each differs from the one before by one update (Shapley 1953). Efficient up to rounding.
class ExactShapley : public Scorer {
 public:
  ScorerTraits traits() const override { return {"exact-shapley", true, ScoreUnit::kNats, true}; }
  // Besides the errors of Scorer: kInvalidArgument for more than kMaxExactTeachers teachers.
  StatusOr<Score> Run(const ScoreRequest& request, LossOracle& oracle,
                      TileExecutor& executor) override;
};

// The Shapley value of a game given by the worth of every coalition: worth[mask], 2^n of them.
std::vector<double> ShapleyOfGame(const std::vector<double>& worth);

}  // namespace crowdteach::learning
