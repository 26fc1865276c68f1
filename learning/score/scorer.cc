#include "learning/score/scorer.h"

#include "learning/fixed_point.h"

namespace crowdteach::learning {

bool IsUsable(const Evaluation& evaluation) {
  return evaluation.finite && LossQ32(evaluation.loss_nats).ok();
}

}  // namespace crowdteach::learning
