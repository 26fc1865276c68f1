#include "client/public_terms.h"

#include <chrono>
#include <cmath>

#include "client/terms_text.h"
#include "learning/fixed_point.h"
#include "ledger/canonical.h"

namespace crowdteach::client {
namespace {

using std::chrono::milliseconds;

// The double nearest to the decimal number that the owner wrote.
template <typename Integer>
double OfNano(Integer nano) {
  return static_cast<double>(nano) / 1e9;
}

Readers ReadersOf(v1::Readers readers) {
  switch (readers) {
    case v1::PUBLIC:
      return Readers::kPublic;
    case v1::ENROLLED:
      return Readers::kEnrolled;
    default:
      return Readers::kAuditors;
  }
}

DataTerms DataOf(const v1::DataTerms& from) {
  DataTerms data;
  data.input_shape.assign(from.input_shape().begin(), from.input_shape().end());
  data.feature_type = from.feature_type() == v1::U8 ? FeatureType::kBytes : FeatureType::kFloats;
  for (const int64_t nano : from.mean_nano()) data.mean.push_back(OfNano(nano));
  for (const uint64_t nano : from.deviation_nano()) data.deviation.push_back(OfNano(nano));
  data.classes.assign(from.classes().begin(), from.classes().end());
  data.csv_label_column = from.csv_label_column();
  data.csv_feature_columns.assign(from.csv_feature_columns().begin(),
                                  from.csv_feature_columns().end());
  return data;
}

LocalTerms LocalOf(const v1::LocalTerms& from) {
  LocalTerms local;
  local.optimizer = from.optimizer() == v1::ADAM ? Optimizer::kAdam : Optimizer::kSgd;
  local.learning_rate = OfNano(from.learning_rate_nano());
  local.momentum = OfNano(from.momentum_nano());
  local.weight_decay = OfNano(from.weight_decay_nano());
  local.fedprox_mu = OfNano(from.fedprox_mu_nano());
  local.batch_size = from.batch_size();
  local.steps = from.steps();
  local.epochs = from.epochs();
  return local;
}

TensorRole RoleOf(const learning::Tensor& tensor) {
  if (!tensor.trainable) return TensorRole::kFrozen;
  return tensor.statistic ? TensorRole::kStatistic : TensorRole::kTrained;
}

}  // namespace

Campaign MakeCampaign(uint64_t number, const v1::CampaignOpen& open,
                      const learning::Layout& layout) {
  Campaign campaign;
  campaign.number = number;
  const v1::Terms& from = open.terms();
  Terms& terms = campaign.terms;
  terms.name = from.name();
  terms.model_toml = from.model_toml();
  terms.data = DataOf(from.data());
  terms.local = LocalOf(from.local());
  terms.rounds = from.rounds();
  terms.teachers = from.teachers();
  terms.quorum = from.quorum();
  terms.commit_time = milliseconds(from.commit_ms());
  terms.upload_time = milliseconds(from.upload_ms());
  terms.dispute_time = milliseconds(from.dispute_ms());
  terms.max_examples = from.max_examples();
  terms.norm_cap =
      std::ldexp(static_cast<double>(from.norm_cap()), -static_cast<int>(from.scale_bits()));
  terms.norm_rejects = from.norm_rule() == v1::REJECT;
  terms.budget = from.budget();
  terms.credits_per_nat = from.credits_per_nat();
  terms.stake = from.stake();
  terms.min_cover = from.min_cover();
  terms.update_readers = ReadersOf(from.update_readers());
  terms.validation_readers = ReadersOf(from.validation_readers());
  terms.retention = milliseconds(from.retention_ms());
  terms.encoded = ledger::Encode(from);
  for (const learning::Tensor& tensor : layout.tensors) {
    campaign.layout.push_back(
        {tensor.name, tensor.shape, tensor.offset, tensor.count, RoleOf(tensor)});
  }
  campaign.weights = layout.total;
  campaign.validation_count = open.validation_count();
  campaign.first_loss_nats = learning::FromQ32(static_cast<int64_t>(open.loss_q32()));
  campaign.text = TermsText(open);
  return campaign;
}

StatusOr<v1::Terms> TermsOf(const Campaign& campaign) {
  return ledger::Decode<v1::Terms>(campaign.terms.encoded);
}

}  // namespace crowdteach::client
