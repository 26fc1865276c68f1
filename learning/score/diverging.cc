#include "learning/score/diverging.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "learning/score/path_model.h"

namespace crowdteach::learning {
namespace {

// Loss and gradient of one model can be recorded.
StatusOr<bool> IsScorable(const std::string& weights_path, const ScoreRequest& request,
                          LossOracle& oracle, TileExecutor& executor) {
  const std::string path = request.work_dir + "/alone.gradient";
  CT_ASSIGN_OR_RETURN(const Evaluation evaluation, oracle.Gradient(weights_path, path));
  if (!IsUsable(evaluation)) return false;
  const Blocks blocks{oracle.examples(), oracle.blocks()};
  const WeightedGradient whole{path, 1.0};
  CT_ASSIGN_OR_RETURN(const double largest,
                      WriteMeanGradient({&whole, 1}, blocks, request.updates.parameters(),
                                        request.work_dir + "/alone.mean", executor));
  return GradientBits(largest).ok();
}

}  // namespace

StatusOr<Score> BlameDiverging(const ScoreRequest& request, LossOracle& oracle,
                               TileExecutor& executor, std::string reason, Score score) {
  CT_ASSIGN_OR_RETURN(
      CoalitionModel model,
      CoalitionModel::Make(request.updates, request.scale_bits, request.format, request.base_path,
                           request.work_dir + "/alone", executor));
  for (size_t i = 0; i < request.updates.size(); ++i) {
    CT_RETURN_IF_ERROR(model.Flip(i));
    CT_RETURN_IF_ERROR(model.Write());
    CT_ASSIGN_OR_RETURN(const bool scorable,
                        IsScorable(model.model_path(), request, oracle, executor));
    ++score.gradients;
    if (!scorable) score.diverging.push_back(request.updates[i].account);
    CT_RETURN_IF_ERROR(model.Flip(i));
  }
  std::error_code ignored;  // a file left in the work folder harms nobody
  std::filesystem::remove(request.work_dir + "/alone.gradient", ignored);
  std::filesystem::remove(request.work_dir + "/alone.mean", ignored);
  score.verdict = score.diverging.empty() ? ScoreVerdict::kNotFinite : ScoreVerdict::kDiverges;
  score.reason = std::move(reason);
  return score;
}

}  // namespace crowdteach::learning
