// How near the Aumann-Shapley scores are to the exact fixed-weight Shapley values, on real
// training.
//
//   bench_scoring WORKER MODEL_TOML DATASET_DIR [SEEDS [ROUNDS]]
//
// Ten teachers hold Dirichlet(0.5) shards of Fashion-MNIST, weighted by their examples (capped);
// each round every teacher trains 20 SGD steps (batch 32, learning rate 0.05) and both scorers run
// on the same 1,000 validation images. Prints a line a round, then the summary over seeds; round 0
// is apart, as the leap from random weights is where the two definitions part.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "learning/aggregate/fedavg.h"
#include "learning/data/readers.h"
#include "learning/data/shards.h"
#include "learning/fixed_point.h"
#include "learning/model/init.h"
#include "learning/model/safetensors.h"
#include "learning/model_runner.h"
#include "learning/score/aumann_shapley.h"
#include "learning/score/gradient.h"
#include "learning/score/shadow.h"
#include "proto/base/bytes.h"
#include "proto/base/weights.h"

namespace crowdteach::learning {
namespace {

constexpr uint32_t kTeachers = 10;
constexpr uint64_t kValidationExamples = 1000;
constexpr uint32_t kBlocks = 20;
constexpr unsigned kScaleBits = 24;

v1::DataTerms FashionTerms() {
  v1::DataTerms terms;
  for (const uint32_t dimension : {1u, 28u, 28u}) terms.add_input_shape(dimension);
  terms.set_feature_type(v1::U8);
  terms.add_mean_nano(286'040'600);
  terms.add_deviation_nano(353'024'200);
  for (int c = 0; c < 10; ++c) terms.add_classes(fmt::format("class {}", c));
  return terms;
}

v1::LocalTerms LocalTraining() {
  v1::LocalTerms local;
  local.set_optimizer(v1::SGD);
  local.set_learning_rate_nano(50'000'000);
  local.set_batch_size(32);
  local.set_steps(20);
  return local;
}

struct RoundResult {
  double value_nats = 0;
  double error = 0;  // relative L2
  double spearman = 0;
  uint32_t gradients = 0;
  double seconds = 0;
  double oracle_seconds = 0;
};

std::vector<double> Ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t rank = 0; rank < order.size(); ++rank) {
    ranks[order[rank]] = static_cast<double>(rank);
  }
  return ranks;
}

void Compare(const Score& aumann, const Score& exact, RoundResult& result) {
  std::vector<double> a;
  std::vector<double> e;
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < exact.lines.size(); ++i) {
    a.push_back(FromQ32(aumann.lines[i].phi_q32));
    e.push_back(FromQ32(exact.lines[i].phi_q32));
    difference += (a[i] - e[i]) * (a[i] - e[i]);
    size += e[i] * e[i];
  }
  result.error = std::sqrt(difference / size);
  const std::vector<double> ra = Ranks(a);
  const std::vector<double> re = Ranks(e);
  double squares = 0;
  for (size_t i = 0; i < ra.size(); ++i) squares += (ra[i] - re[i]) * (ra[i] - re[i]);
  const auto n = static_cast<double>(ra.size());
  result.spearman = 1 - 6 * squares / (n * (n * n - 1));
}

StatusOr<double> Timed(Scorer& scorer, const ScoreRequest& request, LossOracle& oracle,
                       TileExecutor& executor, Score& score) {
  const auto started = std::chrono::steady_clock::now();
  CT_ASSIGN_OR_RETURN(score, scorer.Run(request, oracle, executor));
  if (score.verdict != ScoreVerdict::kScored) {
    return Aborted("{} gave no scores: {}", scorer.traits().name, score.reason);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

// One seed's campaign. Files live in `folder`.
class Campaign {
 public:
  Campaign(ModelRunner& runner, const ExamplesFile& training, const ExamplesFile& validation,
           const ModelSpec& spec, uint64_t seed, std::string folder)
      : runner_(runner),
        training_(training),
        validation_(validation),
        spec_(spec),
        seed_(seed),
        folder_(std::move(folder)),
        format_{LayoutOf(spec), CanonicalHeader(LayoutOf(spec)).size()} {}

  StatusOr<std::vector<RoundResult>> Run(uint32_t rounds) {
    CT_RETURN_IF_ERROR(TakeShards());
    CT_ASSIGN_OR_RETURN(oracle_,
                        MakeOracle(runner_, validation_.fd(), validation_.count(), kBlocks));
    CT_RETURN_IF_ERROR(WriteFirstWeights(Path("base"), spec_, seed_));
    CT_ASSIGN_OR_RETURN(const Evaluation first, oracle_->Evaluate(Path("base")));
    CT_ASSIGN_OR_RETURN(loss_q32_, LossQ32(first.loss_nats));
    std::vector<RoundResult> results;
    for (uint32_t round = 0; round < rounds; ++round) {
      CT_ASSIGN_OR_RETURN(const RoundResult result, Round(round));
      std::printf(
          "seed %llu round %u: v %+.4f nats, error %5.2f %%, Spearman %.3f, %u gradients, "
          "%.2f s against %.1f s\n",
          static_cast<unsigned long long>(seed_), round, result.value_nats, 100 * result.error,
          result.spearman, result.gradients, result.seconds, result.oracle_seconds);
      std::fflush(stdout);
      results.push_back(result);
    }
    return results;
  }

 private:
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  Status TakeShards() {
    std::vector<uint64_t> counts;
    for (uint32_t shard = 1; shard <= kTeachers; ++shard) {
      ShardOptions options;
      options.shard = shard;
      options.shards = kTeachers;
      options.dirichlet = 0.5;
      options.seed = seed_;
      CT_ASSIGN_OR_RETURN(ExamplesFile examples, TakeShard(training_, FashionTerms(), options));
      counts.push_back(examples.count());
      shards_.push_back(std::move(examples));
    }
    weights_ = base::CappedWeights(counts);
    return OkStatus();
  }

  StatusOr<TeacherUpdate> Teach(uint32_t teacher, uint32_t round) {
    const TrainRequest request{Path("base"), shards_[teacher].fd(), LocalTraining(),
                               seed_ * 1'000'000 + round * 1'000 + teacher, Path("trained")};
    CT_ASSIGN_OR_RETURN(const TrainResult trained, runner_.Train(request));
    if (!trained.finite) return Aborted("teacher {} diverged in round {}", teacher, round);
    CT_ASSIGN_OR_RETURN(const TrainableFile before, TrainableFile::Open(Path("base"), format_));
    CT_ASSIGN_OR_RETURN(const TrainableFile after, TrainableFile::Open(Path("trained"), format_));
    std::vector<float> from(before.count());
    std::vector<float> to(before.count());
    CT_RETURN_IF_ERROR(before.Read(0, from));
    CT_RETURN_IF_ERROR(after.Read(0, to));
    std::vector<int32_t> values(from.size());
    CT_RETURN_IF_ERROR(Quantise(to, from, kScaleBits, values).status());
    TeacherUpdate update;
    update.account = teacher + 1;
    update.digest = base::BlobDigest(
        base::BlobKind::kUpdate,
        {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int32_t)});
    update.weight = weights_[teacher];
    update.values = MemoryTiles(std::move(values));
    return update;
  }

  StatusOr<RoundResult> Round(uint32_t round) {
    std::vector<TeacherUpdate> teachers;
    for (uint32_t teacher = 0; teacher < kTeachers; ++teacher) {
      CT_ASSIGN_OR_RETURN(TeacherUpdate update, Teach(teacher, round));
      teachers.push_back(std::move(update));
    }
    CT_ASSIGN_OR_RETURN(const UpdateSet updates,
                        UpdateSet::Make(std::move(teachers), format_.layout.trainable));
    CT_ASSIGN_OR_RETURN(
        const FedAvgResult step,
        AggregateFedAvg(updates, kScaleBits, format_, Path("base"), Path("next"), executor_));
    CT_ASSIGN_OR_RETURN(const base::Hash base_digest,
                        BlobDigestOfFile(base::BlobKind::kWeights, Path("base"), executor_));
    const ScoreRequest request{updates,
                               kScaleBits,
                               format_,
                               Path("base"),
                               Path("next"),
                               base_digest,
                               step.model_digest,
                               step.is_void,
                               step.e,
                               loss_q32_,
                               /*correct_before=*/0,
                               folder_,
                               Path("g"),
                               base::RandomBytes(kGradientSaltBytes)};
    RoundResult result;
    Score aumann;
    Score exact;
    ExactShapley exact_shapley;
    CT_ASSIGN_OR_RETURN(result.seconds,
                        Timed(aumann_shapley_, request, *oracle_, executor_, aumann));
    CT_ASSIGN_OR_RETURN(result.oracle_seconds,
                        Timed(exact_shapley, request, *oracle_, executor_, exact));
    result.value_nats = FromQ32(aumann.value_q32());
    result.gradients = aumann.gradients;
    Compare(aumann, exact, result);
    loss_q32_ = aumann.loss_after_q32;
    std::filesystem::rename(Path("next"), Path("base"));
    return result;
  }

  ModelRunner& runner_;
  const ExamplesFile& training_;
  const ExamplesFile& validation_;
  const ModelSpec& spec_;
  uint64_t seed_;
  std::string folder_;
  WeightsFormat format_;
  TileExecutor executor_{2};
  AumannShapley aumann_shapley_;
  std::unique_ptr<LossOracle> oracle_;
  std::vector<ExamplesFile> shards_;
  std::vector<uint64_t> weights_;
  uint64_t loss_q32_ = 0;
};

void Summarise(const std::vector<RoundResult>& rounds, const std::string& name) {
  if (rounds.empty()) return;
  RoundResult mean;
  double largest = 0;
  const auto n = static_cast<double>(rounds.size());
  for (const RoundResult& round : rounds) {
    mean.error += round.error / n;
    mean.spearman += round.spearman / n;
    mean.seconds += round.seconds / n;
    mean.oracle_seconds += round.oracle_seconds / n;
    mean.gradients += round.gradients;
    largest = std::max(largest, round.error);
  }
  std::printf(
      "%s (%zu): relative L2 error mean %.2f %%, maximum %.2f %%; Spearman %.3f; %.2f gradients a "
      "round; %.2f s against the oracle's %.1f s (1/%.0f)\n",
      name.c_str(), rounds.size(), 100 * mean.error, 100 * largest, mean.spearman,
      mean.gradients / n, mean.seconds, mean.oracle_seconds, mean.oracle_seconds / mean.seconds);
}

Status Main(const std::string& worker_path, const std::string& model_path,
            const std::string& dataset, uint64_t seeds, uint32_t rounds) {
  std::ifstream file(model_path);
  if (!file) return NotFound("{} cannot be read", model_path);
  const std::string toml{std::istreambuf_iterator<char>(file), {}};
  CT_ASSIGN_OR_RETURN(const ModelSpec spec, ParseModelSpec(toml));
  CT_ASSIGN_OR_RETURN(const ExamplesFile training, ReadDataset(dataset, FashionTerms()));
  CT_ASSIGN_OR_RETURN(const ExamplesFile validation,
                      ReadDataset(dataset + ":t10k", FashionTerms(), {kValidationExamples}));
  RunnerOptions options;
  options.worker_path = worker_path;
  CT_ASSIGN_OR_RETURN(const auto runner, ModelRunner::Spawn(options));
  CT_RETURN_IF_ERROR(runner->LoadModel(toml, FashionTerms()));

  std::string folder = (std::filesystem::temp_directory_path() / "bench-scoring-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return ErrnoStatus(errno, folder);
  std::vector<RoundResult> first;
  std::vector<RoundResult> later;
  Status status;
  for (uint64_t seed = 1; seed <= seeds && status.ok(); ++seed) {
    Campaign campaign(*runner, training, validation, spec, seed, folder);
    const StatusOr<std::vector<RoundResult>> results = campaign.Run(rounds);
    status = results.status();
    if (!status.ok()) break;
    for (size_t round = 0; round < results->size(); ++round) {
      const RoundResult& result = (*results)[round];
      if (round == 0) {
        first.push_back(result);
      } else if (std::abs(result.value_nats) >= 0.01) {
        later.push_back(result);
      }
    }
  }
  std::filesystem::remove_all(folder);
  CT_RETURN_IF_ERROR(status);
  Summarise(first, "round 0");
  Summarise(later, "later rounds with |v| >= 0.01 nat");
  return OkStatus();
}

}  // namespace
}  // namespace crowdteach::learning

int main(int argc, char** argv) {
  if (argc < 4 || argc > 6) {
    std::fprintf(stderr, "usage: bench_scoring WORKER MODEL_TOML DATASET_DIR [SEEDS [ROUNDS]]\n");
    return 2;
  }
  const uint64_t seeds = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 5;
  const uint64_t rounds = argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 10;
  const crowdteach::Status status =
      crowdteach::learning::Main(argv[1], argv[2], argv[3], seeds, static_cast<uint32_t>(rounds));
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench_scoring: %s\n", crowdteach::Message(status).c_str());
  return 1;
}
