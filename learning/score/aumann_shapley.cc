#include "learning/score/aumann_shapley.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "learning/fixed_point.h"
#include "learning/score/diverging.h"
#include "learning/score/gradient.h"
#include "learning/score/path_model.h"
#include "learning/score/rational.h"

namespace crowdteach::learning {
namespace {

using base::Int128;

constexpr double kRelativeTolerance = 0.05;
constexpr double kAbsoluteToleranceNats = 1e-4;
constexpr size_t kMaxNodes = 5;

// Newton-Cotes coefficients over [0, 1] at equally spaced nodes.
std::vector<double> Coefficients(size_t nodes) {
  if (nodes == 2) return {1.0 / 2, 1.0 / 2};
  if (nodes == 3) return {1.0 / 6, 4.0 / 6, 1.0 / 6};
  return {7.0 / 90, 32.0 / 90, 12.0 / 90, 32.0 / 90, 7.0 / 90};
}

void RemoveFile(const std::string& path) {
  std::error_code ignored;  // a file left in the work folder harms nobody
  std::filesystem::remove(path, ignored);
}

// A gradient along the step and its products with the updates.
struct Node {
  std::string path;
  std::vector<double> products;  // ⟨q_i, block b⟩ at [i·B + b]
};

// The nodes of one run, in order of t. Removes the files of the inner ones.
struct Path {
  const ScoreRequest& request;
  Blocks blocks;
  std::vector<Node> nodes;

  ~Path() {
    for (size_t j = 1; j + 1 < nodes.size(); ++j) RemoveFile(nodes[j].path);
  }

  // ⟨u_i, G_b⟩ / (N·2^s): what block b says of teacher i before the remainder is spread.
  double BlockScore(size_t i, uint32_t b) const {
    const std::vector<double> coefficients = Coefficients(nodes.size());
    double sum = 0;
    for (size_t j = 0; j < nodes.size(); ++j) {
      sum -= coefficients[j] * nodes[j].products[i * blocks.count + b];
    }
    const UpdateSet& updates = request.updates;
    return static_cast<double>(updates[i].weight) * sum /
           std::ldexp(static_cast<double>(updates.total_weight()),
                      static_cast<int>(request.scale_bits));
  }

  // ⟨U, G⟩ / (N·2^s), nats.
  double PredictedValue() const {
    double sum = 0;
    for (uint32_t b = 0; b < blocks.count; ++b) {
      const double share =
          static_cast<double>(blocks.BlockExamples(b)) / static_cast<double>(blocks.examples);
      for (size_t i = 0; i < request.updates.size(); ++i) sum += share * BlockScore(i, b);
    }
    return sum;
  }

  bool MustRefine(double value_nats) const {
    const double tolerance =
        std::max(kRelativeTolerance * std::abs(value_nats), kAbsoluteToleranceNats);
    return nodes.size() < kMaxNodes && std::abs(value_nats - PredictedValue()) > tolerance;
  }
};

// Halves every interval. False: some gradient on the way is not usable.
StatusOr<bool> Refine(Path& path, LossOracle& oracle, TileExecutor& executor, Score& score) {
  const ScoreRequest& request = path.request;
  std::vector<Node> inner;
  const size_t intervals = path.nodes.size() - 1;
  bool usable = true;
  Status status;
  for (size_t j = 0; j < intervals && usable && status.ok(); ++j) {
    const double t = (static_cast<double>(j) + 0.5) / static_cast<double>(intervals);
    const std::string model = request.work_dir + "/node.model";
    const std::string file = fmt::format("{}/node-{}-{}.gradient", request.work_dir, intervals, j);
    inner.push_back({file, {}});
    status = [&]() -> Status {
      CT_RETURN_IF_ERROR(WritePointOnStep(request.format, request.base_path, request.next_path, t,
                                          model, executor));
      CT_ASSIGN_OR_RETURN(const Evaluation evaluation, oracle.Gradient(model, file));
      ++score.gradients;
      usable = IsUsable(evaluation);
      if (!usable) return OkStatus();
      CT_ASSIGN_OR_RETURN(inner.back().products,
                          BlockProducts(request.updates, file, path.blocks, executor));
      return OkStatus();
    }();
    RemoveFile(model);
  }
  if (!usable || !status.ok()) {
    for (const Node& node : inner) RemoveFile(node.path);
    if (!status.ok()) return status;
    return false;
  }
  for (size_t j = 0; j < intervals; ++j) {
    path.nodes.insert(path.nodes.begin() + static_cast<ptrdiff_t>(2 * j + 1), std::move(inner[j]));
  }
  return true;
}

// Delete-one-block jackknife of each φ_i: φ is a mean over examples of block values
//   φ_ib = BlockScore(i, b) + (v_b - Σ_j BlockScore(j, b))·E_i / E.
std::vector<uint64_t> StandardErrors(const Path& path, const Evaluation& before,
                                     const Evaluation& after) {
  const ScoreRequest& request = path.request;
  const size_t teachers = request.updates.size();
  const uint32_t count = path.blocks.count;
  std::vector<uint64_t> errors(teachers);
  if (count < 2) return errors;
  std::vector<double> rest(count);  // what the gradient does not explain of each block's value
  for (uint32_t b = 0; b < count; ++b) {
    rest[b] = before.block_loss_nats[b] - after.block_loss_nats[b];
    for (size_t i = 0; i < teachers; ++i) rest[b] -= path.BlockScore(i, b);
  }
  double sum_e = 0;
  for (const Int128 e : request.e) sum_e += static_cast<double>(e);
  const auto examples = static_cast<double>(path.blocks.examples);
  for (size_t i = 0; i < teachers; ++i) {
    const double share = static_cast<double>(request.e[i]) / sum_e;
    std::vector<double> weighted(count);
    double total = 0;
    for (uint32_t b = 0; b < count; ++b) {
      weighted[b] = static_cast<double>(path.blocks.BlockExamples(b)) *
                    (path.BlockScore(i, b) + rest[b] * share);
      total += weighted[b];
    }
    std::vector<double> without(count);
    double mean = 0;
    for (uint32_t b = 0; b < count; ++b) {
      without[b] =
          (total - weighted[b]) / (examples - static_cast<double>(path.blocks.BlockExamples(b)));
      mean += without[b] / count;
    }
    double squares = 0;
    for (const double value : without) squares += (value - mean) * (value - mean);
    const double error = std::sqrt(squares * (count - 1) / count);
    errors[i] = static_cast<uint64_t>(
        std::nearbyint(std::min(std::ldexp(error, 32), static_cast<double>(kMaxScoreQ32))));
  }
  return errors;
}

StatusOr<std::vector<Int128>> ProductsWithArtifact(const ScoreRequest& request,
                                                   TileExecutor& executor) {
  CT_ASSIGN_OR_RETURN(const auto g,
                      OpenInt32File(request.gradient_artifact_path, request.updates.parameters(),
                                    kGradientSaltBytes));
  return GradientProducts(request.updates, *g, executor);
}

// From the path's gradients to g, D and φ. False: G is too large to be recorded.
StatusOr<bool> Finish(const Path& path, const Evaluation& before, const Evaluation& after,
                      TileExecutor& executor, Score& score) {
  const ScoreRequest& request = path.request;
  const std::vector<double> coefficients = Coefficients(path.nodes.size());
  std::vector<WeightedGradient> gradients;
  for (size_t j = 0; j < path.nodes.size(); ++j) {
    gradients.push_back({path.nodes[j].path, -coefficients[j]});
  }
  const std::string mean_path = request.work_dir + "/mean.gradient";
  const uint64_t parameters = request.updates.parameters();
  CT_ASSIGN_OR_RETURN(const double largest,
                      WriteMeanGradient(gradients, path.blocks, parameters, mean_path, executor));
  const StatusOr<unsigned> bits = GradientBits(largest);
  if (!bits.ok()) {
    RemoveFile(mean_path);
    return false;
  }
  score.gradient_bits = *bits;
  const StatusOr<base::Hash> digest =
      WriteGradientArtifact(mean_path, parameters, *bits, request.gradient_salt,
                            request.gradient_artifact_path, executor);
  RemoveFile(mean_path);
  CT_RETURN_IF_ERROR(digest.status());
  score.gradient_digest = *digest;
  CT_ASSIGN_OR_RETURN(const std::vector<Int128> d, ProductsWithArtifact(request, executor));
  std::vector<TeacherProducts> products;
  for (size_t i = 0; i < d.size(); ++i) {
    products.push_back({request.updates[i].account, request.updates[i].digest, d[i], request.e[i]});
  }
  const RoundScale scale{request.updates.total_weight(), request.scale_bits, *bits,
                         score.value_q32()};
  const StatusOr<std::vector<int64_t>> phi = FinishScores(products, scale);
  if (phi.status().code() == absl::StatusCode::kOutOfRange) {
    score.verdict = ScoreVerdict::kOutOfRange;
    score.reason = Message(phi.status());
    return true;
  }
  CT_RETURN_IF_ERROR(phi.status());
  const std::vector<uint64_t> errors = StandardErrors(path, before, after);
  for (size_t i = 0; i < d.size(); ++i) {
    score.lines.push_back({request.updates[i].account, d[i], request.e[i], (*phi)[i], errors[i]});
  }
  return true;
}

Status CheckRequest(const ScoreRequest& request) {
  if (request.gradient_salt.size() != kGradientSaltBytes) {
    return InvalidArgument("the gradient's salt has {} bytes, not {}", request.gradient_salt.size(),
                           kGradientSaltBytes);
  }
  if (request.e.size() != request.updates.size()) {
    return InvalidArgument("{} products with the step for {} updates", request.e.size(),
                           request.updates.size());
  }
  return OkStatus();
}

Score VoidScore(const ScoreRequest& request, Score score) {
  score.verdict = ScoreVerdict::kVoid;
  score.loss_after_q32 = score.loss_before_q32;
  score.correct_after = score.correct_before;
  for (const TeacherUpdate& teacher : request.updates.teachers()) {
    score.lines.push_back({teacher.account, 0, 0, 0, 0});
  }
  return score;
}

}  // namespace

AumannShapley::~AumannShapley() {
  for (const auto& [digest, kept] : kept_) RemoveFile(kept.path);
}

void AumannShapley::ForgetAllBut(const base::Hash& base, const base::Hash& next) {
  std::erase_if(kept_, [&](const auto& item) {
    const bool forget = item.first != base && item.first != next;
    if (forget) RemoveFile(item.second.path);
    return forget;
  });
}

StatusOr<const AumannShapley::Kept*> AumannShapley::GradientOf(const std::string& weights_path,
                                                               const base::Hash& digest,
                                                               const ScoreRequest& request,
                                                               LossOracle& oracle, Score& score) {
  if (const auto found = kept_.find(digest); found != kept_.end()) return &found->second;
  Kept kept{fmt::format("{}/{}.gradient", request.work_dir, base::Hex(digest)), {}};
  StatusOr<Evaluation> evaluation = oracle.Gradient(weights_path, kept.path);
  if (!evaluation.ok()) {
    RemoveFile(kept.path);
    return std::move(evaluation).status();
  }
  ++score.gradients;
  kept.evaluation = *std::move(evaluation);
  if (IsUsable(kept.evaluation) && kept.evaluation.block_loss_nats.size() != oracle.blocks()) {
    RemoveFile(kept.path);
    return Internal("the oracle gave {} block losses for {} blocks",
                    kept.evaluation.block_loss_nats.size(), oracle.blocks());
  }
  return &kept_.emplace(digest, std::move(kept)).first->second;
}

StatusOr<Score> AumannShapley::Run(const ScoreRequest& request, LossOracle& oracle,
                                   TileExecutor& executor) {
  CT_RETURN_IF_ERROR(CheckRequest(request));
  Score score;
  score.loss_before_q32 = request.loss_before_q32;
  score.correct_before = request.correct_before;
  if (request.is_void) return VoidScore(request, std::move(score));

  ForgetAllBut(request.base_digest, request.next_digest);
  CT_ASSIGN_OR_RETURN(const Kept* before,
                      GradientOf(request.base_path, request.base_digest, request, oracle, score));
  if (!IsUsable(before->evaluation)) {
    score.verdict = ScoreVerdict::kNotFinite;
    score.reason = "the loss or gradient of the base model itself is not usable";
    return score;
  }
  CT_ASSIGN_OR_RETURN(const Kept* after,
                      GradientOf(request.next_path, request.next_digest, request, oracle, score));
  if (!IsUsable(after->evaluation)) {
    return BlameDiverging(request, oracle, executor,
                          fmt::format("loss {} nats or gradient of the next model is not usable",
                                      after->evaluation.loss_nats),
                          std::move(score));
  }
  CT_ASSIGN_OR_RETURN(score.loss_after_q32, LossQ32(after->evaluation.loss_nats));
  score.correct_after = after->evaluation.correct;
  score.per_class_correct_after = after->evaluation.per_class_correct;

  Path path{request, {oracle.examples(), oracle.blocks()}, {}};
  for (const Kept* end : {before, after}) {
    CT_ASSIGN_OR_RETURN(std::vector<double> products,
                        BlockProducts(request.updates, end->path, path.blocks, executor));
    path.nodes.push_back({end->path, std::move(products)});
  }
  bool usable = true;
  while (usable && path.MustRefine(FromQ32(score.value_q32()))) {
    CT_ASSIGN_OR_RETURN(usable, Refine(path, oracle, executor, score));
  }
  score.path_nodes = static_cast<uint32_t>(path.nodes.size());
  if (usable) {
    CT_ASSIGN_OR_RETURN(usable,
                        Finish(path, before->evaluation, after->evaluation, executor, score));
  }
  if (!usable) {
    return BlameDiverging(request, oracle, executor, "a gradient along the step is not usable",
                          std::move(score));
  }
  return score;
}

}  // namespace crowdteach::learning
