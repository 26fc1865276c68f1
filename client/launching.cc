#include "client/launching.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "learning/data/readers.h"
#include "learning/data/validation.h"
#include "learning/fixed_point.h"
#include "learning/model/init.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"
#include "ledger/terms.h"
#include "proto/base/bytes.h"

namespace crowdteach::client {
namespace {

Status MakeWeights(const CampaignFile& file, const learning::ModelSpec& spec, uint64_t seed,
                   ledger::ArtifactStore* blobs, PreparedCampaign* prepared) {
  const learning::Layout layout = learning::LayoutOf(spec);
  const std::string path = blobs->TemporaryPath();
  if (file.weights_path.empty() && spec.code) {
    return InvalidArgument(
        "a model as code does not say what its first weights should be: name them, weights = "
        "\"model.safetensors\"");
  }
  if (file.weights_path.empty()) {
    CT_RETURN_IF_ERROR(learning::WriteFirstWeights(path, spec, seed));
  } else {
    CT_RETURN_IF_ERROR(learning::RewriteWeights(file.weights_path, layout, path));
  }
  {
    CT_ASSIGN_OR_RETURN(const auto weights, learning::WeightsFile::Open(path, layout));
    CT_RETURN_IF_ERROR(Annotate(learning::CheckFinite(weights, layout), file.weights_path));
  }
  CT_ASSIGN_OR_RETURN(const ledger::BlobName blob, blobs->Adopt(base::BlobKind::kWeights, path));
  prepared->model = blob.digest;
  prepared->open.set_model_digest(base::Bytes(blob.digest));
  prepared->open.set_model_size_bytes(blob.size_bytes);
  prepared->open.set_parameters(layout.trainable);
  return OkStatus();
}

StatusOr<learning::ExamplesFile> MakeValidation(const CampaignFile& file,
                                                ledger::ArtifactStore* blobs,
                                                PreparedCampaign* prepared) {
  const v1::DataTerms& data = prepared->open.terms().data();
  learning::ReadOptions read;
  read.limit = file.validation_limit;
  CT_ASSIGN_OR_RETURN(const learning::ExamplesFile plain,
                      learning::ReadDataset(file.ValidationSpec(), data, read));
  const std::string path = blobs->TemporaryPath();
  CT_ASSIGN_OR_RETURN(
      learning::ExamplesFile salted,
      learning::MakeValidationSet(plain, base::RandomBytes(plain.count() * learning::kSaltBytes),
                                  path, data));
  const learning::ValidationCommitment commitment = learning::CommitmentOf(salted);
  CT_ASSIGN_OR_RETURN(const ledger::BlobName blob, blobs->Adopt(base::BlobKind::kValidation, path));
  prepared->validation = blob.digest;
  prepared->open.set_validation_root(base::Bytes(commitment.root));
  prepared->open.set_validation_count(commitment.count);
  prepared->open.set_validation_digest(base::Bytes(commitment.digest));
  return salted;
}

// Takes the TorchScript file that stands beside model.toml.
Status TakeCode(const CampaignFile& file, const learning::ModelCode& code,
                ledger::ArtifactStore* blobs, PreparedCampaign* prepared) {
  const std::string path = file.ModelCodePath();
  const std::string copy = blobs->TemporaryPath();
  std::error_code error;
  const uintmax_t size_bytes = std::filesystem::file_size(path, error);
  const bool same_size = !error && size_bytes == code.size_bytes;
  if (same_size) std::filesystem::copy_file(path, copy, error);
  if (error) {
    return Annotate(ErrnoStatus(error.value(), path),
                    "the model's code, beside " + file.model_path);
  }
  if (!same_size) {
    return InvalidArgument("{}: {} bytes, but {} names code of {}: make both anew", path,
                           size_bytes, file.model_path, code.size_bytes);
  }
  CT_ASSIGN_OR_RETURN(const ledger::BlobName blob, blobs->Adopt(base::BlobKind::kCode, copy));
  if (blob.digest != code.digest) {
    CT_RETURN_IF_ERROR(blobs->Remove(blob.digest));
    return InvalidArgument("{}: its digest is {}, but {} names another code: make both anew", path,
                           base::Hex(blob.digest), file.model_path);
  }
  prepared->code = blob.digest;
  return OkStatus();
}

// One step of the terms' training and one gradient: a model that fails at either would otherwise be
// found out by teachers who have enrolled.
Status CheckTrains(const learning::ExamplesFile& validation, const std::string& weights_path,
                   const v1::LocalTerms& local, const ledger::ArtifactStore& blobs,
                   learning::ModelRunner* runner) {
  learning::TrainRequest request{.weights_path = weights_path,
                                 .examples_fd = validation.fd(),
                                 .local = local,
                                 .output_path = blobs.TemporaryPath()};
  request.local.set_epochs(0);
  request.local.set_steps(1);
  const std::string gradient_path = blobs.TemporaryPath();
  const StatusOr<learning::TrainResult> trained = runner->Train(request);
  const Status differentiated =
      runner->Gradient(weights_path, validation.fd(), 1, gradient_path).status();
  std::error_code ignored;
  std::filesystem::remove(request.output_path, ignored);
  std::filesystem::remove(gradient_path, ignored);
  CT_RETURN_IF_ERROR(Annotate(trained.status(), "a step of training, tried on the validation set"));
  if (!std::isfinite(trained->mean_loss_nats)) {
    return InvalidArgument(
        "the loss of a step of training is not finite, though that of the same weights is when "
        "they are evaluated: does the model compute something else in training?");
  }
  return Annotate(differentiated, "the gradient on the validation set");
}

Status Evaluate(const learning::ExamplesFile& validation, const learning::RunnerOptions& options,
                const ledger::ArtifactStore& blobs, PreparedCampaign* prepared) {
  CT_ASSIGN_OR_RETURN(const auto runner, learning::ModelRunner::Spawn(options));
  const v1::Terms& terms = prepared->open.terms();
  CT_RETURN_IF_ERROR(runner->LoadModel(terms.model_toml(), terms.data(),
                                       prepared->code ? blobs.Path(*prepared->code) : ""));
  CT_ASSIGN_OR_RETURN(const learning::EvaluateResult first,
                      runner->Evaluate(blobs.Path(prepared->model), validation.fd()));
  if (!first.finite) {
    return InvalidArgument("the loss of the first weights is not finite; train or choose others");
  }
  CT_RETURN_IF_ERROR(
      CheckTrains(validation, blobs.Path(prepared->model), terms.local(), blobs, runner.get()));
  CT_ASSIGN_OR_RETURN(const uint64_t loss_q32, learning::LossQ32(first.loss_nats));
  prepared->open.set_loss_q32(loss_q32);
  prepared->open.set_correct(first.correct);
  return OkStatus();
}

Status CheckFit(const learning::ModelSpec& spec, const v1::DataTerms& data) {
  if (spec.classes != static_cast<uint64_t>(data.classes_size())) {
    return InvalidArgument("the model has {} outputs but [data] names {} classes", spec.classes,
                           data.classes_size());
  }
  if (std::equal(spec.input.begin(), spec.input.end(), data.input_shape().begin(),
                 data.input_shape().end())) {
    return OkStatus();
  }
  return InvalidArgument(
      "the model's input is [{}] but [data] has input-shape = [{}]; they must be "
      "the same list",
      fmt::join(spec.input, ", "), fmt::join(data.input_shape(), ", "));
}

}  // namespace

StatusOr<PreparedCampaign> PrepareCampaign(const CampaignFile& file, uint64_t seed,
                                           const learning::RunnerOptions& runner,
                                           ledger::ArtifactStore* blobs) {
  PreparedCampaign prepared;
  *prepared.open.mutable_terms() = file.terms;
  StatusOr<learning::ModelSpec> spec = learning::ParseModelSpec(file.terms.model_toml());
  // One that is too large is the owner's to change, not this machine's fault.
  if (!spec.ok()) return InvalidArgument("{}: {}", file.model_path, Message(spec.status()));
  CT_RETURN_IF_ERROR(CheckFit(*spec, file.terms.data()));
  CT_RETURN_IF_ERROR(learning::CheckCodeAllowed(*spec, runner.allow_model_code));
  if (spec->code) CT_RETURN_IF_ERROR(TakeCode(file, *spec->code, blobs, &prepared));
  CT_RETURN_IF_ERROR(MakeWeights(file, *spec, seed, blobs, &prepared));
  CT_ASSIGN_OR_RETURN(const learning::ExamplesFile validation,
                      MakeValidation(file, blobs, &prepared));
  CT_RETURN_IF_ERROR(Evaluate(validation, runner, *blobs, &prepared));
  CT_RETURN_IF_ERROR(ledger::ValidateOpen(prepared.open));
  return prepared;
}

}  // namespace crowdteach::client
