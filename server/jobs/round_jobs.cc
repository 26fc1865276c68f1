#include "server/jobs/round_jobs.h"

#include <spdlog/spdlog.h>

#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "learning/aggregate/norms.h"
#include "learning/aggregate/tile_source.h"
#include "learning/fixed_point.h"
#include "learning/model/safetensors.h"
#include "server/jobs/scoring.h"

namespace crowdteach::server {
namespace {

constexpr double kLossTolerance = 1e-5;

Status CheckModel(const v1::CampaignOpen& open, const CampaignModel& model,
                  const ledger::ArtifactStore& artifacts) {
  const v1::DataTerms& data = open.terms().data();
  if (model.spec.classes != static_cast<uint64_t>(data.classes_size())) {
    return InvalidArgument("the model has {} outputs but [data] names {} classes",
                           model.spec.classes, data.classes_size());
  }
  const bool same_input =
      model.spec.input.size() == static_cast<size_t>(data.input_shape_size()) &&
      std::equal(model.spec.input.begin(), model.spec.input.end(), data.input_shape().begin());
  if (!same_input) return InvalidArgument("the model's input is not the input-shape of [data]");
  if (model.format.layout.trainable != open.parameters()) {
    return InvalidArgument("the model has {} trainable parameters, the intent says {}",
                           model.format.layout.trainable, open.parameters());
  }
  CT_ASSIGN_OR_RETURN(const base::Hash digest, base::HashFromBytes(open.model_digest()));
  if (!artifacts.Exists(digest)) {
    return FailedPrecondition("the first weights {} have not been uploaded", base::Hex(digest));
  }
  if (model.format.SizeBytes() != open.model_size_bytes()) {
    return InvalidArgument("weights of this model have {} bytes, the intent says {}",
                           model.format.SizeBytes(), open.model_size_bytes());
  }
  CT_ASSIGN_OR_RETURN(const learning::WeightsFile weights,
                      learning::WeightsFile::Open(artifacts.Path(digest), model.format.layout));
  return learning::CheckFinite(weights, model.format.layout);
}

Status CheckLoss(const v1::CampaignOpen& open, const learning::Evaluation& evaluation) {
  if (!evaluation.finite) return InvalidArgument("the loss of the first weights is not finite");
  const double claimed = learning::FromQ32(static_cast<int64_t>(open.loss_q32()));
  if (std::abs(claimed - evaluation.loss_nats) > kLossTolerance) {
    return InvalidArgument(
        "the loss of the first weights is {:.7f} nats here, the intent says "
        "{:.7f}; they may differ by {}",
        evaluation.loss_nats, claimed, kLossTolerance);
  }
  // Equal logits may fall either way on another processor.
  const uint64_t slack = 1 + open.validation_count() / 1000;
  const uint64_t difference = evaluation.correct > open.correct()
                                  ? evaluation.correct - open.correct()
                                  : open.correct() - evaluation.correct;
  if (difference > slack) {
    return InvalidArgument("the first weights get {} of {} right here, the intent says {}",
                           evaluation.correct, open.validation_count(), open.correct());
  }
  return OkStatus();
}

}  // namespace

namespace {

// What a job throws (mostly for want of memory) is that job's failure.
template <typename Job>
auto Guarded(const Job& job) -> decltype(job()) {
  try {
    return job();
  } catch (const std::exception& error) {
    return Internal("{}", error.what());
  }
}

}  // namespace

struct RoundJobs::Impl {
  Impl(JobsOptions opts, ledger::ArtifactStore* store)
      : options(std::move(opts)), artifacts(store), executor(options.threads) {
    std::error_code error;
    std::filesystem::remove_all(options.scratch, error);
    std::filesystem::create_directories(options.scratch, error);
    if (error) spdlog::error("{}: {}", options.scratch, error.message());
    thread = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
      queue.clear();
    }
    shut_down.request_stop();
    changed.notify_one();
    thread.join();
  }

  void Post(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex);
      queue.push_back(std::move(job));
    }
    changed.notify_one();
  }

  void Run() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return stopping || !queue.empty(); });
        if (stopping) return;
        job = std::move(queue.front());
        queue.pop_front();
      }
      job();
    }
  }

  StatusOr<v1::Aggregate> Aggregate(const PassSpec& spec);
  StatusOr<Event> Score(const PassSpec& spec);
  Status CheckOpening(const v1::CampaignOpen& open);

  const JobsOptions options;
  ledger::ArtifactStore* const artifacts;
  learning::TileExecutor executor;
  // The campaign that was scored last, ready for its next round; and the pass aggregated last.
  std::unique_ptr<Scoring> scoring;
  std::optional<std::pair<uint64_t, Aggregated>> last;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> queue;
  bool stopping = false;
  std::stop_source shut_down;
  std::thread thread;
};

StatusOr<v1::Aggregate> RoundJobs::Impl::Aggregate(const PassSpec& spec) {
  CT_ASSIGN_OR_RETURN(const CampaignModel model, ParseCampaignModel(spec.open.terms()));
  CT_ASSIGN_OR_RETURN(Aggregated aggregated, RunAggregate(spec, model, *artifacts, executor));
  v1::Aggregate message = aggregated.aggregate;
  last.emplace(spec.campaign, std::move(aggregated));
  return message;
}

StatusOr<Event> RoundJobs::Impl::Score(const PassSpec& spec) {
  CT_ASSIGN_OR_RETURN(const CampaignModel model, ParseCampaignModel(spec.open.terms()));
  const bool have = last.has_value() && last->first == spec.campaign &&
                    last->second.aggregate.model_digest() == spec.aggregate.model_digest() &&
                    last->second.updates.size() == spec.updates.size();
  // After a restart: the same artifacts give the same aggregate.
  if (!have) CT_RETURN_IF_ERROR(Aggregate(spec).status());
  if (last->second.aggregate.model_digest() != spec.aggregate.model_digest()) {
    return Internal("the artifacts no longer give the aggregate on the ledger");
  }
  if (scoring == nullptr || scoring->campaign() != spec.campaign) {
    scoring.reset();
    CT_ASSIGN_OR_RETURN(scoring, Scoring::Make(options, spec.campaign, spec.open, *artifacts,
                                               shut_down.get_token()));
  }
  return scoring->Run(spec, last->second, model, *artifacts, executor);
}

Status RoundJobs::Impl::CheckOpening(const v1::CampaignOpen& open) {
  CT_ASSIGN_OR_RETURN(const CampaignModel model, ParseCampaignModel(open.terms()));
  CT_RETURN_IF_ERROR(learning::CheckCodeAllowed(model.spec, options.allow_model_code));
  CT_RETURN_IF_ERROR(CheckModel(open, model, *artifacts));
  CT_ASSIGN_OR_RETURN(const base::Hash validation, base::HashFromBytes(open.validation_digest()));
  if (!artifacts->Exists(validation)) {
    return FailedPrecondition("the validation set {} has not been uploaded", base::Hex(validation));
  }
  CT_ASSIGN_OR_RETURN(const auto trial,
                      Scoring::Make(options, 0, open, *artifacts, shut_down.get_token()));
  CT_ASSIGN_OR_RETURN(const base::Hash weights, base::HashFromBytes(open.model_digest()));
  CT_ASSIGN_OR_RETURN(const learning::Evaluation evaluation,
                      trial->Evaluate(artifacts->Path(weights)));
  return CheckLoss(open, evaluation);
}

RoundJobs::RoundJobs(JobsOptions options, ledger::ArtifactStore* artifacts)
    : impl_(std::make_unique<Impl>(std::move(options), artifacts)) {}
RoundJobs::~RoundJobs() = default;

void RoundJobs::Aggregate(PassSpec spec, std::function<void(Event)> done) {
  impl_->Post([impl = impl_.get(), spec = std::move(spec), done = std::move(done)] {
    const StatusOr<v1::Aggregate> aggregate = Guarded([&] { return impl->Aggregate(spec); });
    if (aggregate.ok()) return done(AggregateDone{*aggregate});
    spdlog::error("campaign {}: aggregation failed: {}", spec.campaign,
                  Message(aggregate.status()));
    done(JobFailed{v1::WORKER_FAILED});
  });
}

void RoundJobs::Score(PassSpec spec, std::function<void(Event)> done) {
  impl_->Post([impl = impl_.get(), spec = std::move(spec), done = std::move(done)] {
    const StatusOr<Event> event = Guarded([&] { return impl->Score(spec); });
    if (event.ok()) return done(*event);
    spdlog::error("campaign {}: scoring failed: {}", spec.campaign, Message(event.status()));
    impl->scoring.reset();
    done(JobFailed{v1::WORKER_FAILED});
  });
}

void RoundJobs::Run(std::function<void()> work) { impl_->Post(std::move(work)); }

void RoundJobs::Forget(uint64_t campaign) {
  impl_->Post([impl = impl_.get(), campaign] {
    if (impl->scoring != nullptr && impl->scoring->campaign() == campaign) impl->scoring.reset();
    if (impl->last.has_value() && impl->last->first == campaign) impl->last.reset();
  });
}

void RoundJobs::CheckOpening(v1::CampaignOpen open, std::function<void(Status)> done) {
  impl_->Post([impl = impl_.get(), open = std::move(open), done = std::move(done)] {
    done(Guarded([&] { return impl->CheckOpening(open); }));
  });
}

StatusOr<unsigned __int128> NormSquaredOf(const std::string& path, uint64_t parameters) {
  CT_ASSIGN_OR_RETURN(const auto values, learning::OpenInt32File(path, parameters));
  learning::TileExecutor executor(1);
  return learning::NormSquared(*values, executor);
}

}  // namespace crowdteach::server
