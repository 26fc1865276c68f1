#include "learning/worker/warm_up.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "learning/model/safetensors.h"
#include "learning/worker/session.h"
#include "learning/worker/torch_network.h"
#include "learning/worker/warm_up_models.h"

namespace crowdteach::learning {
namespace {

constexpr uint64_t kExamples = 64;

v1::DataTerms Terms() {
  v1::DataTerms terms;
  for (const uint32_t dimension : {2, 16, 16}) {
    terms.add_input_shape(dimension);
  }
  terms.set_feature_type(v1::U8);
  terms.add_mean_nano(0);
  terms.add_deviation_nano(1'000'000'000);
  for (const char* name : {"a", "b", "c", "d"}) {
    terms.add_classes(name);
  }
  return terms;
}

StatusOr<Fd> FileInMemory(std::string_view bytes) {
  Fd file(memfd_create("warm-up", MFD_CLOEXEC));
  if (!file.valid() ||
      write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    return ErrnoStatus(errno, "a file in memory for the worker's warm-up");
  }
  return file;
}

// Weights of 0 but for a ramp, so that every layer has something to carry.
std::string Weights(const Layout& layout) {
  std::string bytes = CanonicalHeader(layout);
  for (uint64_t i = 0; i < layout.total; ++i) {
    const float value = 0.01F * static_cast<float>(i % 7) - 0.03F;
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return bytes;
}

std::string Examples(const v1::DataTerms& terms, uint64_t count) {
  const ExampleFormat format(terms);
  std::string bytes;
  for (uint64_t i = 0; i < count; ++i) {
    std::string record(format.record_bytes(), '\0');
    record[kSaltBytes + 3] = static_cast<char>(i % terms.classes_size());
    for (uint64_t k = kSaltBytes + 4; k < record.size(); ++k) {
      record[k] = static_cast<char>(i * 31 + k * 7);
    }
    bytes += record;
  }
  return bytes;
}

Status WarmUpOn(std::string_view model, const v1::DataTerms& terms) {
  CT_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                      Session::Load(model, terms, std::numeric_limits<uint64_t>::max()));
  const auto files = [&](uint64_t examples) -> StatusOr<std::vector<Fd>> {
    std::vector<Fd> fds(3);
    CT_ASSIGN_OR_RETURN(fds[0], FileInMemory(Weights(session->layout())));
    CT_ASSIGN_OR_RETURN(fds[1], FileInMemory(Examples(terms, examples)));
    CT_ASSIGN_OR_RETURN(fds[2], FileInMemory(""));
    return fds;
  };
  const BatchDone done = [](uint64_t, uint64_t, double) { return OkStatus(); };
  // Small and large batches: Torch picks different convolution kernels for them. A batch of one is
  // too small for BatchNorm.
  for (const uint32_t batch_size : {2, 4, 64}) {
    v1::WorkerTrain train;
    train.mutable_local()->set_optimizer(v1::ADAM);
    train.mutable_local()->set_learning_rate_nano(1'000'000);
    train.mutable_local()->set_batch_size(batch_size);
    train.mutable_local()->set_steps(2);
    CT_ASSIGN_OR_RETURN(std::vector<Fd> fds, files(kExamples));
    CT_RETURN_IF_ERROR(session->Train(train, std::move(fds), done).status());
  }
  for (const uint64_t examples : {uint64_t{1}, kExamples}) {
    v1::WorkerEvaluate evaluate;
    evaluate.set_want_logits(true);
    CT_ASSIGN_OR_RETURN(std::vector<Fd> fds, files(examples));
    CT_RETURN_IF_ERROR(session->Evaluate(evaluate, std::move(fds), done).status());
    v1::WorkerGradient gradient;
    gradient.set_blocks(1);
    CT_ASSIGN_OR_RETURN(fds, files(examples));
    CT_RETURN_IF_ERROR(session->Gradient(gradient, std::move(fds), done).status());
  }
  return OkStatus();
}

}  // namespace

Status WarmUp(int threads) {
  CT_RETURN_IF_ERROR(StartTorch(threads));
  const v1::DataTerms terms = Terms();
  for (const std::string_view model : kWarmUpModels) {
    CT_RETURN_IF_ERROR(WarmUpOn(model, terms));
  }
  // Errors of ours and of Torch's are thrown, unwound and printed: let their machinery load, too.
  return Session::Load("not a model", terms, 0).ok() ? Internal("the warm-up loaded nonsense")
                                                     : OkStatus();
}

}  // namespace crowdteach::learning
