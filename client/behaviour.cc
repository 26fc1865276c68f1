#include "client/behaviour.h"

#include <utility>

namespace crowdteach::client {
namespace {

class ZeroTrainer : public Trainer {
 public:
  explicit ZeroTrainer(std::unique_ptr<Trainer> honest) : honest_(std::move(honest)) {}
  StatusOr<uint64_t> Prepare(const Campaign& campaign) override {
    return honest_->Prepare(campaign);
  }
  StatusOr<TrainingSummary> Train(const Task&, std::span<float>, Progress&,
                                  std::stop_token) override {
    return TrainingSummary();
  }

 private:
  const std::unique_ptr<Trainer> honest_;
};

class SignFlipTrainer : public Trainer {
 public:
  explicit SignFlipTrainer(std::unique_ptr<Trainer> honest) : honest_(std::move(honest)) {}
  StatusOr<uint64_t> Prepare(const Campaign& campaign) override {
    return honest_->Prepare(campaign);
  }
  StatusOr<TrainingSummary> Train(const Task& task, std::span<float> weights, Progress& progress,
                                  std::stop_token stop) override {
    StatusOr<TrainingSummary> summary = honest_->Train(task, weights, progress, std::move(stop));
    if (!summary.ok()) return summary;
    for (const Tensor& tensor : task.campaign.layout) {
      if (tensor.role == TensorRole::kFrozen) continue;
      for (uint64_t i = tensor.offset; i < tensor.offset + tensor.count; ++i) {
        weights[i] = static_cast<float>(2 * static_cast<double>(task.base[i]) -
                                        static_cast<double>(weights[i]));
      }
    }
    return summary;
  }

 private:
  const std::unique_ptr<Trainer> honest_;
};

}  // namespace

StatusOr<Behaviour> ParseBehaviour(std::string_view name) {
  if (name == "honest") return Behaviour::kHonest;
  if (name == "zero") return Behaviour::kZero;
  if (name == "sign-flip") return Behaviour::kSignFlip;
  return InvalidArgument("'{}' is no behaviour; there are honest, zero and sign-flip", name);
}

std::unique_ptr<Trainer> WithBehaviour(std::unique_ptr<Trainer> honest, Behaviour behaviour) {
  switch (behaviour) {
    case Behaviour::kZero:
      return std::make_unique<ZeroTrainer>(std::move(honest));
    case Behaviour::kSignFlip:
      return std::make_unique<SignFlipTrainer>(std::move(honest));
    default:
      return honest;
  }
}

}  // namespace crowdteach::client
