// The default scorer: the Aumann-Shapley value along the aggregate, finished in exact integers.
//
// G = -∫₀¹ ∇ℓ(w + t(w' - w)) dt by nested nodes: {0, 1} (trapezoid), {0, ½, 1} (Simpson),
// {0, ¼, ½, ¾, 1} (Boole), refined while |v - ⟨U,G⟩/(N·2^s)| > max(5 % of |v|, 10^-4 nat).
// Then g = round-half-even(G·2^k), 0 <= k <= 60 the largest with max|G|·2^k < 2^30 - ½ (0 if G = 0;
// a G too large for k = 0 is unusable, like one that is not finite), and from g on all is exact
// (rational.h). The gradient at w' is kept as the next round's gradient at w, so a calm round costs
// one gradient of the validation set whatever the number of teachers. So one scorer serves one
// campaign: one model, one validation set, one work folder.
//
// Standard errors: φ is linear in the blocks of the validation set (losses and gradients), so each
// block left out in turn gives a jackknife; recorded and shown, never gating a payment.
//
// A loss or gradient that is not usable: each w + u_i/N alone is evaluated, with its gradient.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "learning/score/scorer.h"

namespace crowdteach::learning {

class AumannShapley : public Scorer {
 public:
  AumannShapley() = default;
  ~AumannShapley() override;  // removes the kept gradients
  AumannShapley(const AumannShapley&) = delete;
  AumannShapley& operator=(const AumannShapley&) = delete;

  ScorerTraits traits() const override { return {"aumann-shapley", true, ScoreUnit::kNats, true}; }

  // Besides the errors of Scorer: kInvalidArgument if the salt has not 32 bytes or e is not of the
  // update set. Writes gradient_artifact_path (replacing it; synced) if kScored.
  StatusOr<Score> Run(const ScoreRequest& request, LossOracle& oracle,
                      TileExecutor& executor) override;

 private:
  // A gradient at one model: the oracle's file of blocks and its answer.
  struct Kept {
    std::string path;
    Evaluation evaluation;
  };

  StatusOr<const Kept*> GradientOf(const std::string& weights_path, const base::Hash& digest,
                                   const ScoreRequest& request, LossOracle& oracle, Score& score);
  void ForgetAllBut(const base::Hash& base, const base::Hash& next);

  std::map<base::Hash, Kept> kept_;  // by model digest: this round's base and next
};

}  // namespace crowdteach::learning
