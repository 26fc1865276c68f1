#include "learning/score/shadow.h"

#include <bit>
#include <cmath>
#include <optional>
#include <utility>

#include "learning/fixed_point.h"
#include "learning/score/path_model.h"

namespace crowdteach::learning {
namespace {

Score Begin(const ScoreRequest& request) {
  Score score;
  score.loss_before_q32 = request.loss_before_q32;
  score.correct_before = request.correct_before;
  for (const TeacherUpdate& teacher : request.updates.teachers()) {
    score.lines.push_back({teacher.account, 0, 0, 0, 0});
  }
  return score;
}

// The loss at a model; nothing, with the verdict set, if it is not usable.
StatusOr<std::optional<Evaluation>> UsableLoss(const std::string& path, LossOracle& oracle,
                                               Score& score) {
  CT_ASSIGN_OR_RETURN(Evaluation evaluation, oracle.Evaluate(path));
  ++score.evaluations;
  if (IsUsable(evaluation)) return std::optional(std::move(evaluation));
  score.verdict = ScoreVerdict::kNotFinite;
  score.reason =
      fmt::format("the loss of a coalition, {} nats, is not usable", evaluation.loss_nats);
  return std::optional<Evaluation>();
}

Status RecordAfter(const Evaluation& evaluation, Score& score) {
  CT_ASSIGN_OR_RETURN(score.loss_after_q32, LossQ32(evaluation.loss_nats));
  score.correct_after = evaluation.correct;
  score.per_class_correct_after = evaluation.per_class_correct;
  return OkStatus();
}

int64_t ToQ32(double nats) { return static_cast<int64_t>(std::nearbyint(std::ldexp(nats, 32))); }

StatusOr<CoalitionModel> EmptyCoalition(const ScoreRequest& request, TileExecutor& executor) {
  return CoalitionModel::Make(request.updates, request.scale_bits, request.format,
                              request.base_path, request.work_dir + "/coalition", executor);
}

}  // namespace

StatusOr<Score> LeaveOneOut::Run(const ScoreRequest& request, LossOracle& oracle,
                                 TileExecutor& executor) {
  Score score = Begin(request);
  CT_ASSIGN_OR_RETURN(const auto all, UsableLoss(request.next_path, oracle, score));
  if (!all.has_value()) return score;
  CT_RETURN_IF_ERROR(RecordAfter(*all, score));
  CT_ASSIGN_OR_RETURN(CoalitionModel model, EmptyCoalition(request, executor));
  for (size_t i = 0; i < request.updates.size(); ++i) CT_RETURN_IF_ERROR(model.Flip(i));
  for (size_t i = 0; i < request.updates.size(); ++i) {
    CT_RETURN_IF_ERROR(model.Flip(i));
    CT_RETURN_IF_ERROR(model.Write());
    CT_ASSIGN_OR_RETURN(const auto without, UsableLoss(model.model_path(), oracle, score));
    if (!without.has_value()) return score;
    score.lines[i].phi_q32 = ToQ32(without->loss_nats - all->loss_nats);
    CT_RETURN_IF_ERROR(model.Flip(i));
  }
  return score;
}

std::vector<double> ShapleyOfGame(const std::vector<double>& worth) {
  const auto n = static_cast<size_t>(std::countr_zero(worth.size()));
  std::vector<double> share(n);  // of a marginal contribution to a coalition of that size
  for (size_t size = 0; size < n; ++size) {
    double ways = 1;  // n-1 over size
    for (size_t j = 0; j < size; ++j) {
      ways = ways * static_cast<double>(n - 1 - j) / static_cast<double>(j + 1);
    }
    share[size] = 1.0 / (static_cast<double>(n) * ways);
  }
  std::vector<double> values(n);
  for (size_t mask = 0; mask < worth.size(); ++mask) {
    for (size_t i = 0; i < n; ++i) {
      const size_t with = mask | (size_t{1} << i);
      if (with == mask) continue;
      values[i] += share[static_cast<size_t>(std::popcount(mask))] * (worth[with] - worth[mask]);
    }
  }
  return values;
}

StatusOr<Score> ExactShapley::Run(const ScoreRequest& request, LossOracle& oracle,
                                  TileExecutor& executor) {
  const size_t n = request.updates.size();
  if (n > kMaxExactTeachers) {
    return InvalidArgument(
        "exact Shapley of {} teachers would need 2^{} losses; at most {} teachers", n, n,
        kMaxExactTeachers);
  }
  Score score = Begin(request);
  CT_ASSIGN_OR_RETURN(CoalitionModel model, EmptyCoalition(request, executor));
  std::vector<double> worth(size_t{1} << n);
  for (size_t step = 0; step < worth.size(); ++step) {
    if (step > 0) CT_RETURN_IF_ERROR(model.Flip(static_cast<size_t>(std::countr_zero(step))));
    CT_RETURN_IF_ERROR(model.Write());
    CT_ASSIGN_OR_RETURN(const auto evaluation, UsableLoss(model.model_path(), oracle, score));
    if (!evaluation.has_value()) return score;
    const size_t mask = step ^ (step >> 1);
    worth[mask] = -evaluation->loss_nats;
    if (mask + 1 == worth.size()) CT_RETURN_IF_ERROR(RecordAfter(*evaluation, score));
  }
  const std::vector<double> values = ShapleyOfGame(worth);
  for (size_t i = 0; i < n; ++i) score.lines[i].phi_q32 = ToQ32(values[i]);
  return score;
}

}  // namespace crowdteach::learning
