// Who is to blame when the loss or the gradient of an aggregate cannot be used.
#pragma once

#include "learning/score/gradient.h"
#include "learning/score/scorer.h"

namespace crowdteach::learning {

// Evaluates w + u_i/N for each teacher alone, loss and gradient. Those that are unusable too are
// named: `score` becomes kDiverges; if there is none, kNotFinite. `reason` says what was unusable.
StatusOr<Score> BlameDiverging(const ScoreRequest& request, LossOracle& oracle,
                               TileExecutor& executor, std::string reason, Score score);

}  // namespace crowdteach::learning
