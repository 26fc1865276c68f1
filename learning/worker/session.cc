#include "learning/worker/session.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "learning/data/random.h"
#include "learning/model/safetensors.h"
#include "learning/worker/optimiser.h"

namespace crowdteach::learning {
namespace {

// Evaluation batches depend on the model alone, so that results do not depend on a machine's
// memory.
constexpr uint64_t kEvalBatchBytes = uint64_t{64} << 20;
constexpr uint64_t kMaxEvalBatch = 256;
constexpr uint64_t kCodeEvalBatch = 64;  // nothing is known about its activations

Status WriteAll(int fd, uint64_t offset, const void* data, uint64_t size) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = pwrite(fd, bytes, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return ErrnoStatus(n < 0 ? errno : ENOSPC, "writing the worker's result");
    }
    bytes += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<uint64_t>(n);
  }
  return OkStatus();
}

// Cross-entropy of one example in double: log Σ exp(z) − z_label, shifted by the largest z.
double CrossEntropy(std::span<const float> logits, int64_t label) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(static_cast<double>(logit) - top);
  }
  return top + std::log(sum) - static_cast<double>(logits[static_cast<size_t>(label)]);
}

bool AllFinite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

Status CheckTerms(const v1::LocalTerms& local) {
  if (local.optimizer() != v1::SGD && local.optimizer() != v1::ADAM) {
    return InvalidArgument("local training: optimizer {} is not known",
                           static_cast<int>(local.optimizer()));
  }
  if (local.batch_size() == 0 || (local.steps() == 0) == (local.epochs() == 0)) {
    return InvalidArgument(
        "local training: batch_size {}, steps {}, epochs {}: a batch size and exactly one of the "
        "other two are needed",
        local.batch_size(), local.steps(), local.epochs());
  }
  return OkStatus();
}

}  // namespace

struct Session::Batch {
  Batch(uint64_t size, uint64_t features, uint64_t classes)
      : inputs(size * features),
        labels(size),
        logits(size * classes),
        features(features),
        classes(classes) {}
  std::span<const float> Inputs() const { return {inputs.data(), count * features}; }
  std::span<const int64_t> Labels() const { return {labels.data(), count}; }
  std::span<float> Logits() { return {logits.data(), count * classes}; }
  std::span<const float> Row(uint64_t i) const { return {logits.data() + i * classes, classes}; }

  std::vector<float> inputs;
  std::vector<int64_t> labels;
  std::vector<float> logits;
  uint64_t features, classes, count = 0;
};

StatusOr<std::unique_ptr<Session>> Session::Load(std::string_view model_toml,
                                                 const v1::DataTerms& data, uint64_t memory_bytes,
                                                 Fd code) {
  CT_ASSIGN_OR_RETURN(ModelSpec spec, ParseModelSpec(model_toml));
  CT_RETURN_IF_ERROR(Normaliser::Check(data, spec.index_limit));
  if (!std::equal(spec.input.begin(), spec.input.end(), data.input_shape().begin(),
                  data.input_shape().end())) {
    return InvalidArgument("the model's input is {}, the data's {}", ShapeText(spec.input),
                           ShapeText({data.input_shape().begin(), data.input_shape().end()}));
  }
  if (spec.classes != static_cast<uint64_t>(data.classes_size())) {
    return InvalidArgument("the model tells {} classes apart, the data has {}", spec.classes,
                           data.classes_size());
  }
  if (spec.code.has_value() != code.valid()) {
    return InvalidArgument("a file of code came {} a model of {}",
                           code.valid() ? "with" : "without", spec.code ? "code" : "layers");
  }
  Layout layout = LayoutOf(spec);
  auto session =
      std::unique_ptr<Session>(new Session(std::move(spec), std::move(layout), data, memory_bytes));
  CT_RETURN_IF_ERROR(session->CheckMemory(1, false, 0));
  CT_ASSIGN_OR_RETURN(session->network_,
                      code.valid()
                          ? TorchNetwork::Load(session->spec_, session->layout_, code.get())
                          : TorchNetwork::Build(session->spec_, session->layout_));
  return session;
}

Session::Session(ModelSpec spec, Layout layout, const v1::DataTerms& data, uint64_t memory_bytes)
    : spec_(std::move(spec)),
      layout_(std::move(layout)),
      data_(data),
      normaliser_(data, spec_.index_limit),
      memory_bytes_(memory_bytes) {}

// A lower bound, to refuse early and by name; what it misses meets the limit itself.
Status Session::CheckMemory(uint64_t batch, bool backward, uint64_t optimiser_bytes) const {
  const uint64_t model = SaturatingMultiply(layout_.total, 2 * sizeof(float));
  const uint64_t activations =
      SaturatingMultiply(SaturatingMultiply(spec_.activation_bytes, batch), backward ? 2 : 1);
  const uint64_t need = SaturatingAdd(SaturatingAdd(model, optimiser_bytes), activations);
  if (need > memory_bytes_) {
    return ResourceExhausted(
        "model '{}' with batches of {} needs {} MiB, the worker's memory limit leaves {} MiB: "
        "raise it, or use a smaller batch or model",
        spec_.name, batch, need >> 20, memory_bytes_ >> 20);
  }
  return OkStatus();
}

// The variance of a single value, by which BatchNorm would divide in training, is not defined.
Status Session::CheckBatches(uint64_t batch_size, uint64_t last_batch_size) const {
  if (std::min(batch_size, last_batch_size) != 1) return OkStatus();
  for (const Layer& layer : spec_.layers) {
    const bool is_norm = std::holds_alternative<BatchNorm1d>(layer.arguments) ||
                         std::holds_alternative<BatchNorm2d>(layer.arguments);
    if (!is_norm || !layer.trainable || ElementCount(layer.shape) != layer.shape[0]) continue;
    return InvalidArgument(
        "layer '{}' ({}) cannot train on {}: it gives one value a channel, which has no variance. "
        "{}",
        layer.name, TypeName(layer.arguments),
        batch_size == 1 ? "batches of one example" : "an epoch's last batch, which is one example",
        batch_size == 1 ? "Use larger batches" : "Leave one example out, or add one");
  }
  return OkStatus();
}

uint64_t Session::EvalBatch() const {
  if (spec_.code) return kCodeEvalBatch;
  return std::clamp<uint64_t>(kEvalBatchBytes / std::max<uint64_t>(spec_.activation_bytes, 1), 1,
                              kMaxEvalBatch);
}

StatusOr<ExamplesFile> Session::OpenInputs(std::vector<Fd>& fds, size_t count) {
  if (fds.size() != count) {
    return InvalidArgument("{} files came with the request, {} are needed", fds.size(), count);
  }
  CT_ASSIGN_OR_RETURN(const WeightsFile weights,
                      WeightsFile::FromDescriptor(fds[0].Release(), layout_));
  network_->Restart();
  CT_RETURN_IF_ERROR(weights.Read(0, network_->weights()));
  return ExamplesFile::FromFd(fds[1].Release(), data_, "the examples");
}

Status Session::Fill(const ExamplesFile& examples, const uint64_t* indices, uint64_t count,
                     Batch* batch) const {
  batch->count = count;
  for (uint64_t i = 0; i < count; ++i) {
    const Status applied =
        normaliser_.Apply(examples.features(indices[i]),
                          {batch->inputs.data() + i * batch->features, batch->features});
    if (!applied.ok()) {
      return Annotate(applied, fmt::format("example {}", indices[i] + 1));
    }
    batch->labels[i] = examples.label(indices[i]);
  }
  return OkStatus();
}

// Σ of the batch's losses, in order; counts what is right where a tally is wanted. An example whose
// loss is not finite is never counted as right.
double Session::Losses(const Batch& batch, v1::WorkerEvaluated* tally) const {
  double sum = 0;
  for (uint64_t i = 0; i < batch.count; ++i) {
    const std::span<const float> row = batch.Row(i);
    const double loss = CrossEntropy(row, batch.labels[i]);
    sum += loss;
    if (tally == nullptr) {
      continue;
    }
    const int label = static_cast<int>(batch.labels[i]);
    tally->set_class_count(label, tally->class_count(label) + 1);
    if (std::isfinite(loss) && std::max_element(row.begin(), row.end()) - row.begin() == label) {
      tally->set_class_correct(label, tally->class_correct(label) + 1);
      tally->set_correct(tally->correct() + 1);
    }
  }
  return sum;
}

bool Session::WeightsFinite() { return AllFinite(network_->weights()); }

StatusOr<v1::WorkerTrained> Session::Train(const v1::WorkerTrain& request, std::vector<Fd> fds,
                                           const BatchDone& done) {
  const v1::LocalTerms& local = request.local();
  CT_RETURN_IF_ERROR(CheckTerms(local));
  CT_ASSIGN_OR_RETURN(const ExamplesFile examples, OpenInputs(fds, 3));
  const uint64_t n = examples.count();
  const uint64_t batch_size = std::min<uint64_t>(local.batch_size(), n);
  const uint64_t per_epoch = (n + batch_size - 1) / batch_size;
  const uint64_t batches = local.steps() != 0 ? local.steps() : local.epochs() * per_epoch;
  const bool reaches_rest = batches >= per_epoch;
  CT_RETURN_IF_ERROR(
      CheckBatches(batch_size, reaches_rest ? (n - 1) % batch_size + 1 : batch_size));
  CT_RETURN_IF_ERROR(CheckMemory(batch_size, true, Optimiser::StateBytes(local, layout_)));

  SeedTorch(request.seed());
  Optimiser optimiser(local, layout_, network_->weights());
  Batch batch(batch_size, examples.format().features, spec_.classes);
  std::vector<uint64_t> order(n);
  v1::WorkerTrained result;
  result.set_examples(n);
  result.set_finite(true);
  double sum = 0;
  for (uint64_t b = 0; b < batches && result.finite(); ++b) {
    if (b % per_epoch == 0) {
      std::iota(order.begin(), order.end(), 0);
      Random(request.seed(), "train", b / per_epoch).Shuffle(order);
    }
    const uint64_t first = (b % per_epoch) * batch_size;
    CT_RETURN_IF_ERROR(
        Fill(examples, order.data() + first, std::min(batch_size, n - first), &batch));
    std::ranges::fill(network_->gradient(), 0.0F);
    CT_RETURN_IF_ERROR(network_->Backward(batch.Inputs(), batch.Labels(),
                                          1.0 / static_cast<double>(batch.count), true,
                                          batch.Logits()));
    optimiser.Step(network_->weights(), network_->gradient());
    const double loss = Losses(batch, nullptr) / static_cast<double>(batch.count);
    sum += loss;
    result.set_batches(b + 1);
    result.set_finite(std::isfinite(loss));
    CT_RETURN_IF_ERROR(done(b + 1, batches, loss));
  }
  result.set_mean_loss(sum / static_cast<double>(result.batches()));
  result.set_finite(result.finite() && WeightsFinite());
  if (result.finite()) {
    const std::string header = CanonicalHeader(layout_);
    CT_RETURN_IF_ERROR(WriteAll(fds[2].get(), 0, header.data(), header.size()));
    CT_RETURN_IF_ERROR(WriteAll(fds[2].get(), header.size(), network_->weights().data(),
                                network_->weights().size_bytes()));
  }
  return result;
}

StatusOr<v1::WorkerEvaluated> Session::Evaluate(const v1::WorkerEvaluate& request,
                                                std::vector<Fd> fds, const BatchDone& done) {
  CT_ASSIGN_OR_RETURN(const ExamplesFile examples, OpenInputs(fds, request.want_logits() ? 3 : 2));
  const uint64_t n = examples.count(), batch_size = std::min(EvalBatch(), n);
  CT_RETURN_IF_ERROR(CheckMemory(batch_size, false, 0));
  Batch batch(batch_size, examples.format().features, spec_.classes);
  std::vector<uint64_t> indices(batch_size);
  const uint64_t batches = (n + batch_size - 1) / batch_size;
  v1::WorkerEvaluated result;
  result.set_count(n);
  result.mutable_class_count()->Resize(static_cast<int>(spec_.classes), 0);
  result.mutable_class_correct()->Resize(static_cast<int>(spec_.classes), 0);
  double sum = 0;
  for (uint64_t b = 0; b < batches; ++b) {
    const uint64_t first = b * batch_size;
    std::iota(indices.begin(), indices.end(), first);
    CT_RETURN_IF_ERROR(Fill(examples, indices.data(), std::min(batch_size, n - first), &batch));
    CT_RETURN_IF_ERROR(network_->Logits(batch.Inputs(), batch.count, batch.Logits()));
    const double loss = Losses(batch, &result);
    sum += loss;
    if (request.want_logits()) {
      CT_RETURN_IF_ERROR(WriteAll(fds[2].get(), first * spec_.classes * sizeof(float),
                                  batch.logits.data(), batch.Logits().size_bytes()));
    }
    CT_RETURN_IF_ERROR(done(b + 1, batches, loss / static_cast<double>(batch.count)));
  }
  result.set_loss(sum / static_cast<double>(n));
  result.set_finite(std::isfinite(result.loss()));
  return result;
}

StatusOr<v1::WorkerEvaluated> Session::Gradient(const v1::WorkerGradient& request,
                                                std::vector<Fd> fds, const BatchDone& done) {
  CT_ASSIGN_OR_RETURN(const ExamplesFile examples, OpenInputs(fds, 3));
  const uint64_t n = examples.count(), blocks = request.blocks();
  if (blocks == 0 || blocks > n) {
    return InvalidArgument("a gradient of {} examples in {} blocks: 1 to {} are possible", n,
                           blocks, n);
  }
  const uint64_t batch_size = std::min(EvalBatch(), (n + blocks - 1) / blocks);
  CT_RETURN_IF_ERROR(CheckMemory(batch_size, true, 0));
  Batch batch(batch_size, examples.format().features, spec_.classes);
  std::vector<uint64_t> indices(batch_size);
  const std::vector<TrainableRun> runs = layout_.TrainableRuns();
  v1::WorkerEvaluated result;
  result.set_count(n);
  result.mutable_class_count()->Resize(static_cast<int>(spec_.classes), 0);
  result.mutable_class_correct()->Resize(static_cast<int>(spec_.classes), 0);
  bool finite = true;
  double sum = 0;
  uint64_t batches_done = 0;
  const uint64_t most_batches = n / batch_size + blocks;
  for (uint64_t block = 0; block < blocks; ++block) {
    const uint64_t begin = block * n / blocks, end = (block + 1) * n / blocks;
    double block_sum = 0;
    std::ranges::fill(network_->gradient(), 0.0F);
    for (uint64_t first = begin; first < end; first += batch_size) {
      std::iota(indices.begin(), indices.end(), first);
      CT_RETURN_IF_ERROR(Fill(examples, indices.data(), std::min(batch_size, end - first), &batch));
      CT_RETURN_IF_ERROR(network_->Backward(batch.Inputs(), batch.Labels(),
                                            1.0 / static_cast<double>(end - begin), false,
                                            batch.Logits()));
      const double loss = Losses(batch, &result);
      block_sum += loss;
      CT_RETURN_IF_ERROR(
          done(++batches_done, most_batches, loss / static_cast<double>(batch.count)));
    }
    result.add_block_loss(block_sum / static_cast<double>(end - begin));
    sum += block_sum;
    finite = finite && AllFinite(network_->gradient());
    for (const TrainableRun& run : runs) {
      CT_RETURN_IF_ERROR(
          WriteAll(fds[2].get(), (block * layout_.trainable + run.update_begin) * sizeof(float),
                   network_->gradient().data() + run.begin, run.count * sizeof(float)));
    }
  }
  result.set_loss(sum / static_cast<double>(n));
  result.set_finite(finite && std::isfinite(result.loss()));
  return result;
}

}  // namespace crowdteach::learning
