// SGD with momentum, and Adam (Kingma & Ba 2015), over the trainable part of a flat weight vector;
// the same arithmetic as torch.optim's defaults (dampening 0; betas 0.9 and 0.999, eps 1e-8).
//
// Before either, the gradient gets weight_decay · w (L2) and FedProx's mu · (w − base) (Li et al.
// 2020), base being the weights at the start. Frozen coordinates never move, and statistics are
// left to their layer. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/layout.h"

namespace crowdteach::learning {

class Optimiser {
 public:
  Optimiser(const v1::LocalTerms& terms, const Layout& layout, std::span<const float> base);

  // Bytes an Optimiser of these terms holds, to be checked before one is made.
  static uint64_t StateBytes(const v1::LocalTerms& terms, const Layout& layout);

  // Both flat, layout.total long.
  void Step(std::span<float> weights, std::span<const float> gradient);

 private:
  void StepSgd(float* weights, const float* gradient, const TrainableRun& run);
  void StepAdam(float* weights, const float* gradient, const TrainableRun& run);
  float Directed(float weight, float gradient, uint64_t update_index) const;

  v1::Optimizer kind_;
  float learning_rate_, momentum_, weight_decay_, mu_;
  std::vector<TrainableRun> runs_;
  uint64_t steps_ = 0;
  std::vector<float> base_;    // update coordinates; only with FedProx
  std::vector<float> first_;   // momentum, or Adam's first moment
  std::vector<float> second_;  // Adam's second moment
};

}  // namespace crowdteach::learning
