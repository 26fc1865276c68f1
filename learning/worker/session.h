// What the worker does for one loaded model: train, evaluate, differentiate. No Torch here; the
// network does the tensors. See proto/crowdteach/v1/worker.proto for the requests.
//
// Everything but the programs around it is untrusted: model.toml, terms, weights, examples.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "crowdteach/v1/worker.pb.h"
#include "learning/data/examples.h"
#include "learning/model/model_spec.h"
#include "learning/worker/normaliser.h"
#include "learning/worker/torch_network.h"
#include "learning/worker_channel.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

// Called after each batch; an error from it (kCancelled) ends the request.
using BatchDone = std::function<Status(uint64_t batch, uint64_t batches, double loss)>;

class Session {
 public:
  // `memory_bytes`: what models and batches may take, beside what is in use already.
  // kInvalidArgument: model.toml or terms are wrong or do not fit each other.
  // kResourceExhausted: larger than a limit or the memory.
  // `code`: of a model as code, the TorchScript file; not valid: there is none.
  static StatusOr<std::unique_ptr<Session>> Load(std::string_view model_toml,
                                                 const v1::DataTerms& data, uint64_t memory_bytes,
                                                 Fd code = {});

  const Layout& layout() const { return layout_; }

  // `fds` as worker.proto orders them. kInvalidArgument: a file does not fit the model, or the
  // terms are out of range; kResourceExhausted: a batch does not fit the memory; I/O errors.
  StatusOr<v1::WorkerTrained> Train(const v1::WorkerTrain& request, std::vector<Fd> fds,
                                    const BatchDone& done);
  StatusOr<v1::WorkerEvaluated> Evaluate(const v1::WorkerEvaluate& request, std::vector<Fd> fds,
                                         const BatchDone& done);
  StatusOr<v1::WorkerEvaluated> Gradient(const v1::WorkerGradient& request, std::vector<Fd> fds,
                                         const BatchDone& done);

 private:
  struct Batch;
  Session(ModelSpec spec, Layout layout, const v1::DataTerms& data, uint64_t memory_bytes);
  StatusOr<ExamplesFile> OpenInputs(std::vector<Fd>& fds, size_t count);
  Status CheckMemory(uint64_t batch, bool backward, uint64_t optimiser_bytes) const;
  uint64_t EvalBatch() const;
  Status CheckBatches(uint64_t batch_size, uint64_t last_batch_size) const;
  Status Fill(const ExamplesFile& examples, const uint64_t* indices, uint64_t count,
              Batch* batch) const;
  double Losses(const Batch& batch, v1::WorkerEvaluated* tally) const;
  bool WeightsFinite();

  ModelSpec spec_;
  Layout layout_;
  v1::DataTerms data_;
  Normaliser normaliser_;
  uint64_t memory_bytes_;
  std::unique_ptr<TorchNetwork> network_;
};

}  // namespace crowdteach::learning
