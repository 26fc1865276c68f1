// A LossOracle whose network is a formula: linear regression (a quadratic loss) or logistic
// regression, in double. Real losses and gradients, so scores can be checked against mathematics.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "learning/aggregate/fedavg.h"
#include "learning/fixed_point.h"
#include "learning/loss_oracle.h"
#include "learning/score/gradient.h"
#include "learning/score/scorer.h"
#include "tests/support/learning_world.h"

namespace crowdteach::learning {

class AnalyticOracle : public LossOracle {
 public:
  enum class Kind { kQuadratic, kLogistic };

  // Features normal, labels from a hidden weight vector. `limit`: the loss is not finite at models
  // whose largest |weight| is above it, as of a network whose activations overflow.
  AnalyticOracle(Kind kind, const TestModel& model, uint64_t examples, uint32_t blocks,
                 std::mt19937_64& random, double limit = 1e30, uint64_t sample = 0)
      : kind_(kind), model_(model), blocks_{examples, blocks}, limit_(limit) {
    const uint64_t count = model.format.layout.trainable;
    const std::vector<float> truth = RandomFloats(count, 1.0, random);
    random.discard(sample << 20);  // other examples of the same population
    for (uint64_t e = 0; e < examples; ++e) {
      features_.push_back(RandomFloats(count, 1.0 / std::sqrt(static_cast<double>(count)), random));
      const double y = Product(truth, features_.back()) + 0.1 * RandomFloats(1, 1.0, random)[0];
      labels_.push_back(kind == Kind::kLogistic ? (y > 0 ? 1.0 : -1.0) : y);
    }
  }

  uint64_t examples() const override { return blocks_.examples; }
  uint32_t blocks() const override { return blocks_.count; }
  const Blocks& validation_blocks() const { return blocks_; }

  StatusOr<Evaluation> Evaluate(const std::string& weights_path) override {
    ++evaluations;
    const std::vector<float> weights = model_.Trainable(model_.Weights(weights_path));
    Evaluation evaluation = At(weights);
    evaluation.block_loss_nats.clear();
    return evaluation;
  }

  StatusOr<Evaluation> Gradient(const std::string& weights_path,
                                const std::string& gradient_path) override {
    ++gradients;
    const std::vector<float> weights = model_.Trainable(model_.Weights(weights_path));
    std::vector<float> all;
    for (uint32_t b = 0; b < blocks_.count; ++b) {
      std::vector<double> mean(weights.size());
      for (uint64_t e = Begin(b); e < Begin(b + 1); ++e) {
        const double slope = Slope(weights, e) / static_cast<double>(blocks_.BlockExamples(b));
        for (size_t k = 0; k < mean.size(); ++k) mean[k] += slope * features_[e][k];
      }
      all.insert(all.end(), mean.begin(), mean.end());
    }
    WriteValues(gradient_path, "", all);
    return At(weights);
  }

  uint32_t evaluations = 0;
  uint32_t gradients = 0;

 private:
  static double Product(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t k = 0; k < a.size(); ++k) sum += double{a[k]} * double{b[k]};
    return sum;
  }

  uint64_t Begin(uint32_t block) const { return block * blocks_.examples / blocks_.count; }

  double Loss(const std::vector<float>& weights, uint64_t e) const {
    const double output = Product(weights, features_[e]);
    if (kind_ == Kind::kQuadratic) return 0.5 * (output - labels_[e]) * (output - labels_[e]);
    return std::log1p(std::exp(-labels_[e] * output));
  }

  // Of the loss in the output.
  double Slope(const std::vector<float>& weights, uint64_t e) const {
    const double output = Product(weights, features_[e]);
    if (kind_ == Kind::kQuadratic) return output - labels_[e];
    return -labels_[e] / (1.0 + std::exp(labels_[e] * output));
  }

  Evaluation At(const std::vector<float>& weights) const {
    Evaluation evaluation;
    evaluation.per_class_correct = {0, 0};
    for (uint32_t b = 0; b < blocks_.count; ++b) {
      double sum = 0;
      for (uint64_t e = Begin(b); e < Begin(b + 1); ++e) {
        sum += Loss(weights, e);
        const bool correct = Product(weights, features_[e]) * labels_[e] > 0;
        evaluation.correct += correct;
        evaluation.per_class_correct[labels_[e] > 0] += correct;
      }
      evaluation.loss_nats += sum / static_cast<double>(blocks_.examples);
      evaluation.block_loss_nats.push_back(sum / static_cast<double>(blocks_.BlockExamples(b)));
    }
    for (const float weight : weights) {
      if (std::abs(weight) <= limit_) continue;
      evaluation.loss_nats = std::numeric_limits<double>::quiet_NaN();
      evaluation.finite = false;
    }
    return evaluation;
  }

  Kind kind_;
  const TestModel& model_;
  Blocks blocks_;
  double limit_;
  std::vector<std::vector<float>> features_;
  std::vector<double> labels_;
};

// One round on an analytic model: aggregate, then score.
struct ScoringRound {
  TestFolder folder;
  TestModel model{{6, -3, 9, 5}};
  unsigned scale_bits = 24;
  TileExecutor executor{2};
  std::optional<UpdateSet> updates;
  FedAvgResult step;

  void Begin(std::mt19937_64& random) {
    WriteValues(folder.File("base"), model.header,
                RandomFloats(model.format.layout.total, 0.2, random));
  }

  void Aggregate(const std::vector<TeacherUpdate>& teachers) {
    auto set = UpdateSet::Make(teachers, model.format.layout.trainable);
    REQUIRE(set.ok());
    updates.emplace(*std::move(set));
    auto result = AggregateFedAvg(*updates, scale_bits, model.format, folder.File("base"),
                                  folder.File("next"), executor);
    REQUIRE(result.ok());
    step = *std::move(result);
  }

  ScoreRequest Request(LossOracle& oracle) {
    const auto before = oracle.Evaluate(folder.File("base"));
    REQUIRE(before.ok());
    const auto digest = base::BlobDigestOfFile(base::BlobKind::kWeights, folder.File("base"));
    return {*updates,
            scale_bits,
            model.format,
            folder.File("base"),
            folder.File("next"),
            *digest,
            step.model_digest,
            step.is_void,
            step.e,
            *LossQ32(before->loss_nats),
            before->correct,
            folder.path(),
            folder.File("g"),
            std::string(kGradientSaltBytes, 's')};
  }

  Score Run(Scorer& scorer, LossOracle& oracle) {
    auto score = scorer.Run(Request(oracle), oracle, executor);
    INFO(Message(score.status()));
    REQUIRE(score.ok());
    return *std::move(score);
  }

  // An update of normal values with this deviation, in nats-sized weights.
  std::vector<int32_t> Update(double deviation, std::mt19937_64& random) const {
    std::vector<int32_t> values;
    for (const float x : RandomFloats(model.format.layout.trainable, deviation, random)) {
      const double scaled = std::ldexp(static_cast<double>(x), static_cast<int>(scale_bits));
      values.push_back(static_cast<int32_t>(std::clamp(scaled, -2147483648.0, 2147483647.0)));
    }
    return values;
  }
};

}  // namespace crowdteach::learning
