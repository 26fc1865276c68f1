#include "learning/score/recompute.h"

#include <utility>

#include "learning/aggregate/norms.h"
#include "learning/score/gradient.h"

namespace crowdteach::learning {
namespace {

Status CheckDigest(base::BlobKind kind, const std::string& path, const base::Hash& recorded,
                   TileExecutor& executor) {
  CT_ASSIGN_OR_RETURN(const base::Hash found, BlobDigestOfFile(kind, path, executor));
  if (found == recorded) return OkStatus();
  return DataLoss("{} has the digest {}, recorded is {}", path, base::Hex(found),
                  base::Hex(recorded));
}

StatusOr<UpdateSet> OpenUpdates(const RecordedAggregate& aggregate, uint64_t parameters) {
  std::vector<TeacherUpdate> teachers;
  for (const RecordedUpdate& update : aggregate.updates) {
    CT_ASSIGN_OR_RETURN(auto values, OpenInt32File(update.path, parameters));
    teachers.push_back(
        {update.account, update.digest, update.weight, update.clip_factor, std::move(values)});
  }
  return UpdateSet::Make(std::move(teachers), parameters);
}

Status CheckNorm(const RecordedAggregate& aggregate, const RecordedUpdate& update,
                 uint64_t parameters, TileExecutor& executor) {
  CT_ASSIGN_OR_RETURN(const auto values, OpenInt32File(update.path, parameters));
  CT_ASSIGN_OR_RETURN(const base::UInt128 norm, NormSquared(*values, executor));
  if (norm != update.norm_squared) {
    return DataLoss("the squared norm of account {}'s update is {}, recorded is {}", update.account,
                    base::WideToDecimal(static_cast<base::Int128>(norm)),
                    base::WideToDecimal(static_cast<base::Int128>(update.norm_squared)));
  }
  const uint64_t factor = ClipFactor(norm, aggregate.norm_cap);
  if (!aggregate.clips && factor != 0) {
    return DataLoss(
        "the update of account {} is over the norm cap {} and should have been rejected",
        update.account, aggregate.norm_cap);
  }
  if (factor != update.clip_factor) {
    return DataLoss("the clip factor of account {} is {}, recorded is {}", update.account, factor,
                    update.clip_factor);
  }
  return OkStatus();
}

}  // namespace

StatusOr<FedAvgResult> RecomputeAggregate(const RecordedAggregate& aggregate,
                                          const WeightsFormat& format, const std::string& base_path,
                                          const std::string& next_path, TileExecutor& executor) {
  const uint64_t parameters = format.layout.trainable;
  CT_RETURN_IF_ERROR(
      CheckDigest(base::BlobKind::kWeights, base_path, aggregate.base_digest, executor));
  for (const RecordedUpdate& update : aggregate.updates) {
    CT_RETURN_IF_ERROR(CheckDigest(base::BlobKind::kUpdate, update.path, update.digest, executor));
    CT_RETURN_IF_ERROR(CheckNorm(aggregate, update, parameters, executor));
  }
  CT_ASSIGN_OR_RETURN(const UpdateSet updates, OpenUpdates(aggregate, parameters));
  CT_ASSIGN_OR_RETURN(FedAvgResult result, AggregateFedAvg(updates, aggregate.scale_bits, format,
                                                           base_path, next_path, executor));
  if (result.model_digest != aggregate.model_digest) {
    return DataLoss("the next model is {}, recorded is {}", base::Hex(result.model_digest),
                    base::Hex(aggregate.model_digest));
  }
  return result;
}

StatusOr<std::vector<base::Int128>> RecomputeGradientProducts(const RecordedAggregate& aggregate,
                                                              uint64_t parameters,
                                                              const base::Hash& gradient_digest,
                                                              const std::string& gradient_path,
                                                              TileExecutor& executor) {
  CT_RETURN_IF_ERROR(
      CheckDigest(base::BlobKind::kGradient, gradient_path, gradient_digest, executor));
  CT_ASSIGN_OR_RETURN(const auto g, OpenInt32File(gradient_path, parameters, kGradientSaltBytes));
  CT_ASSIGN_OR_RETURN(const UpdateSet updates, OpenUpdates(aggregate, parameters));
  return GradientProducts(updates, *g, executor);
}

}  // namespace crowdteach::learning
