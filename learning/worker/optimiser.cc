#include "learning/worker/optimiser.h"

#include <cmath>

namespace crowdteach::learning {
namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;

float FromNano(uint64_t nano) { return static_cast<float>(static_cast<double>(nano) * 1e-9); }

bool HasMomentum(const v1::LocalTerms& terms) {
  return terms.optimizer() == v1::SGD && terms.momentum_nano() != 0;
}

}  // namespace

Optimiser::Optimiser(const v1::LocalTerms& terms, const Layout& layout, std::span<const float> base)
    : kind_(terms.optimizer()),
      learning_rate_(FromNano(terms.learning_rate_nano())),
      momentum_(FromNano(terms.momentum_nano())),
      weight_decay_(FromNano(terms.weight_decay_nano())),
      mu_(FromNano(terms.fedprox_mu_nano())),
      runs_(layout.OptimisedRuns()) {
  if (HasMomentum(terms) || kind_ == v1::ADAM) {
    first_.resize(layout.trainable);
  }
  if (kind_ == v1::ADAM) {
    second_.resize(layout.trainable);
  }
  if (terms.fedprox_mu_nano() != 0) {
    base_.reserve(layout.trainable);
    for (const TrainableRun& run : layout.TrainableRuns()) {
      base_.insert(base_.end(), base.begin() + static_cast<ptrdiff_t>(run.begin),
                   base.begin() + static_cast<ptrdiff_t>(run.begin + run.count));
    }
  }
}

uint64_t Optimiser::StateBytes(const v1::LocalTerms& terms, const Layout& layout) {
  const uint64_t vectors = (terms.optimizer() == v1::ADAM ? 2
                            : HasMomentum(terms)          ? 1
                                                          : 0) +
                           (terms.fedprox_mu_nano() != 0 ? 1 : 0);
  return vectors * layout.trainable * sizeof(float);
}

void Optimiser::Step(std::span<float> weights, std::span<const float> gradient) {
  ++steps_;
  for (const TrainableRun& run : runs_) {
    if (kind_ == v1::ADAM) {
      StepAdam(weights.data() + run.begin, gradient.data() + run.begin, run);
    } else {
      StepSgd(weights.data() + run.begin, gradient.data() + run.begin, run);
    }
  }
}

float Optimiser::Directed(float weight, float gradient, uint64_t update_index) const {
  float direction = gradient + weight_decay_ * weight;
  if (!base_.empty()) {
    direction += mu_ * (weight - base_[update_index]);
  }
  return direction;
}

void Optimiser::StepSgd(float* weights, const float* gradient, const TrainableRun& run) {
  for (uint64_t i = 0; i < run.count; ++i) {
    const uint64_t k = run.update_begin + i;
    float direction = Directed(weights[i], gradient[i], k);
    if (!first_.empty()) {
      // The first step's momentum is the gradient itself: 0 · momentum + gradient.
      direction = first_[k] = momentum_ * first_[k] + direction;
    }
    weights[i] -= learning_rate_ * direction;
  }
}

void Optimiser::StepAdam(float* weights, const float* gradient, const TrainableRun& run) {
  const auto beta1 = static_cast<float>(kBeta1), beta2 = static_cast<float>(kBeta2);
  const auto rest1 = static_cast<float>(1 - kBeta1), rest2 = static_cast<float>(1 - kBeta2);
  const double correction1 = 1 - std::pow(kBeta1, static_cast<double>(steps_));
  const auto root2 =
      static_cast<float>(std::sqrt(1 - std::pow(kBeta2, static_cast<double>(steps_))));
  const auto step = static_cast<float>(static_cast<double>(learning_rate_) / correction1);
  const auto epsilon = static_cast<float>(kEpsilon);
  for (uint64_t i = 0; i < run.count; ++i) {
    const uint64_t k = run.update_begin + i;
    const float direction = Directed(weights[i], gradient[i], k);
    first_[k] = beta1 * first_[k] + rest1 * direction;
    second_[k] = beta2 * second_[k] + rest2 * direction * direction;
    weights[i] -= step * first_[k] / (std::sqrt(second_[k]) / root2 + epsilon);
  }
}

}  // namespace crowdteach::learning
