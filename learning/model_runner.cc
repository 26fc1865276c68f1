#include "learning/model_runner.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "learning/worker_process.h"

namespace crowdteach::learning {
namespace {

StatusOr<Fd> OpenToRead(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoStatus(errno, fmt::format("opening '{}'", path));
  }
  return fd;
}

// A file that appears under its name when it is whole, and otherwise leaves nothing behind.
class OutputFile {
 public:
  OutputFile() = default;
  OutputFile(OutputFile&& other) noexcept
      : path_(std::exchange(other.path_, {})),
        part_(std::exchange(other.part_, {})),
        fd_(std::move(other.fd_)) {}
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile() {
    if (!part_.empty()) {
      unlink(part_.c_str());
    }
  }

  static StatusOr<OutputFile> Create(const std::string& path) {
    OutputFile file;
    file.path_ = path;
    std::string part = path + ".XXXXXX";
    file.fd_ = Fd(mkostemp(part.data(), O_CLOEXEC));
    if (!file.fd_.valid()) {
      return ErrnoStatus(errno, fmt::format("creating '{}'", part));
    }
    file.part_ = part;
    return file;
  }

  int fd() const { return fd_.get(); }

  Status Commit() {
    if (fsync(fd_.get()) != 0 || rename(part_.c_str(), path_.c_str()) != 0) {
      return ErrnoStatus(errno, fmt::format("writing '{}'", path_));
    }
    part_.clear();
    return OkStatus();
  }

 private:
  std::string path_, part_;
  Fd fd_;
};

// The worker has read foreign bytes: its answers are checked for shape like anybody's.
Status WrongAnswer() { return Unavailable("the worker's answer makes no sense"); }

StatusOr<EvaluateResult> ResultOf(const StatusOr<v1::WorkerReply>& reply, uint32_t blocks) {
  CT_RETURN_IF_ERROR(reply.status());
  const v1::WorkerEvaluated& from = reply->evaluated();
  if (!reply->has_evaluated() || from.class_count_size() != from.class_correct_size() ||
      from.block_loss_size() != static_cast<int>(blocks) || from.correct() > from.count() ||
      (from.finite() && !std::isfinite(from.loss()))) {
    return WrongAnswer();
  }
  EvaluateResult result;
  result.loss_nats = from.loss();
  result.correct = from.correct();
  result.per_class_correct = {from.class_correct().begin(), from.class_correct().end()};
  result.block_loss_nats = {from.block_loss().begin(), from.block_loss().end()};
  result.finite = from.finite();
  result.count = from.count();
  result.per_class_count = {from.class_count().begin(), from.class_count().end()};
  return result;
}

class RunnerOracle : public LossOracle {
 public:
  RunnerOracle(ModelRunner& runner, int examples_fd, uint64_t examples, uint32_t blocks)
      : runner_(runner), examples_fd_(examples_fd), examples_(examples), blocks_(blocks) {}

  uint64_t examples() const override { return examples_; }
  uint32_t blocks() const override { return blocks_; }
  StatusOr<Evaluation> Evaluate(const std::string& weights_path) override {
    CT_ASSIGN_OR_RETURN(EvaluateResult result, runner_.Evaluate(weights_path, examples_fd_));
    return Checked(std::move(result));
  }
  StatusOr<Evaluation> Gradient(const std::string& weights_path,
                                const std::string& gradient_path) override {
    CT_ASSIGN_OR_RETURN(EvaluateResult result,
                        runner_.Gradient(weights_path, examples_fd_, blocks_, gradient_path));
    return Checked(std::move(result));
  }

 private:
  StatusOr<Evaluation> Checked(EvaluateResult result) const {
    if (result.count != examples_) {
      return InvalidArgument("the validation set holds {} examples, {} were announced",
                             result.count, examples_);
    }
    return Evaluation(std::move(result));
  }

  ModelRunner& runner_;
  int examples_fd_;
  uint64_t examples_;
  uint32_t blocks_;
};

}  // namespace

ModelRunner::ModelRunner(std::unique_ptr<WorkerProcess> process) : process_(std::move(process)) {}
ModelRunner::~ModelRunner() = default;

StatusOr<std::unique_ptr<ModelRunner>> ModelRunner::Spawn(const RunnerOptions& options) {
  CT_ASSIGN_OR_RETURN(auto process, WorkerProcess::Spawn(options));
  return std::unique_ptr<ModelRunner>(new ModelRunner(std::move(process)));
}

Status ModelRunner::LoadModel(std::string_view model_toml, const v1::DataTerms& data,
                              const std::string& code_path) {
  Fd code;
  if (!code_path.empty()) {
    CT_ASSIGN_OR_RETURN(code, OpenToRead(code_path));
  }
  v1::WorkerRequest request;
  request.mutable_load_model()->set_model_toml(model_toml.data(), model_toml.size());
  *request.mutable_load_model()->mutable_data() = data;
  std::vector<int> fds;
  if (code.valid()) fds.push_back(code.get());
  return process_->Call(std::move(request), fds, {}, {}).status();
}

StatusOr<TrainResult> ModelRunner::Train(const TrainRequest& request, const TrainProgress& progress,
                                         const std::stop_token& stop) {
  CT_ASSIGN_OR_RETURN(const Fd weights, OpenToRead(request.weights_path));
  CT_ASSIGN_OR_RETURN(OutputFile output, OutputFile::Create(request.output_path));
  v1::WorkerRequest message;
  *message.mutable_train()->mutable_local() = request.local;
  message.mutable_train()->set_seed(request.seed);
  CT_ASSIGN_OR_RETURN(
      const v1::WorkerReply reply,
      process_->Call(std::move(message), {weights.get(), request.examples_fd, output.fd()},
                     progress, stop));
  if (!reply.has_trained()) {
    return WrongAnswer();
  }
  TrainResult result;
  result.batches = reply.trained().batches();
  result.examples = reply.trained().examples();
  result.mean_loss_nats = reply.trained().mean_loss();
  result.finite = reply.trained().finite();
  if (result.finite) {
    CT_RETURN_IF_ERROR(output.Commit());
  }
  return result;
}

StatusOr<EvaluateResult> ModelRunner::Evaluate(const std::string& weights_path, int examples_fd,
                                               const std::string& logits_path,
                                               const std::stop_token& stop) {
  CT_ASSIGN_OR_RETURN(const Fd weights, OpenToRead(weights_path));
  v1::WorkerRequest message;
  message.mutable_evaluate()->set_want_logits(!logits_path.empty());
  if (logits_path.empty()) {
    return ResultOf(process_->Call(std::move(message), {weights.get(), examples_fd}, {}, stop), 0);
  }
  CT_ASSIGN_OR_RETURN(OutputFile logits, OutputFile::Create(logits_path));
  CT_ASSIGN_OR_RETURN(EvaluateResult result,
                      ResultOf(process_->Call(std::move(message),
                                              {weights.get(), examples_fd, logits.fd()}, {}, stop),
                               0));
  CT_RETURN_IF_ERROR(logits.Commit());
  return result;
}

StatusOr<EvaluateResult> ModelRunner::Gradient(const std::string& weights_path, int examples_fd,
                                               uint32_t blocks, const std::string& gradient_path,
                                               const std::stop_token& stop) {
  CT_ASSIGN_OR_RETURN(const Fd weights, OpenToRead(weights_path));
  CT_ASSIGN_OR_RETURN(OutputFile gradient, OutputFile::Create(gradient_path));
  v1::WorkerRequest message;
  message.mutable_gradient()->set_blocks(blocks);
  CT_ASSIGN_OR_RETURN(
      EvaluateResult result,
      ResultOf(
          process_->Call(std::move(message), {weights.get(), examples_fd, gradient.fd()}, {}, stop),
          blocks));
  CT_RETURN_IF_ERROR(gradient.Commit());
  return result;
}

bool ModelRunner::alive() const { return process_->alive(); }
int ModelRunner::pid() const { return process_->pid(); }

StatusOr<std::unique_ptr<LossOracle>> MakeOracle(ModelRunner& runner, int examples_fd,
                                                 uint64_t examples, uint32_t blocks) {
  if (blocks == 0 || blocks > examples) {
    return InvalidArgument("a gradient of {} examples in {} blocks: 1 to {} are possible", examples,
                           blocks, examples);
  }
  return std::unique_ptr<LossOracle>(
      std::make_unique<RunnerOracle>(runner, examples_fd, examples, blocks));
}

}  // namespace crowdteach::learning
