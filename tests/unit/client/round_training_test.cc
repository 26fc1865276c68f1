// What TrainRound makes of a trainer's doings.
#include "client/round_training.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>

#include "client/behaviour.h"
#include "client/public_terms.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::client {
namespace {

using absl::StatusCode;
using testing::Refused;

struct Doing : Trainer {
  using Act = std::function<StatusOr<TrainingSummary>(const Task&, std::span<float>)>;
  explicit Doing(Act what) : act(std::move(what)) {}
  StatusOr<uint64_t> Prepare(const Campaign&) override { return 1; }
  StatusOr<TrainingSummary> Train(const Task& task, std::span<float> weights, Progress&,
                                  std::stop_token) override {
    return act(task, weights);
  }
  const Act act;
};

struct Round {
  Round() {
    std::string name = (std::filesystem::temp_directory_path() / "round-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    folder = name;
    v1::CampaignOpen open;
    open.mutable_terms()->set_model_toml(
        "[model]\nname = \"tiny\"\ninput = [3]\n[[layer]]\nname = \"fc\"\ntype = \"Linear\"\n"
        "in_features = 3\nout_features = 2\n");
    open.mutable_terms()->set_scale_bits(24);
    joining.terms = open.terms();
    joining.layout = learning::LayoutOf(*learning::ParseModelSpec(open.terms().model_toml()));
    joining.campaign = MakeCampaign(5, open, joining.layout);
    WriteBase(1.0F);
  }
  ~Round() { std::filesystem::remove_all(folder); }
  void WriteBase(float value) const {
    REQUIRE(learning::WriteWeights(folder + "/base", joining.layout,
                                   [&](uint64_t, std::span<float> tile) {
                                     for (float& v : tile) v = value;
                                     return OkStatus();
                                   })
                .ok());
  }
  StatusOr<UpdateSummary> Train(Trainer& trainer) const {
    Observer silent;
    return TrainRound(joining,
                      {.round = 1,
                       .base_path = folder + "/base",
                       .scratch = folder + "/scratch",
                       .update_path = folder + "/update"},
                      trainer, silent, {});
  }
  StatusOr<UpdateSummary> Train(Doing::Act act) const {
    Doing trainer(std::move(act));
    return Train(trainer);
  }
  std::vector<int32_t> Update() const {
    std::ifstream file(folder + "/update", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<int32_t> values(bytes.size() / 4);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  std::string folder;
  Joining joining;
};

StatusOr<TrainingSummary> Better(const Task&, std::span<float> weights) {
  weights[0] += 0.5F;
  weights[7] = 1000;
  return TrainingSummary{.examples = 12, .mean_loss_nats = 0.5};
}

TEST_CASE("What a trainer changes becomes the update; the base stays as it was") {
  const Round round;
  const auto summary = round.Train([](const Task& task, std::span<float> weights) {
    CHECK(task.base.size() == 8);
    CHECK(std::equal(task.base.begin(), task.base.end(), weights.begin()));
    CHECK(std::filesystem::is_empty(task.scratch));
    const auto better = Better(task, weights);
    CHECK(task.base[0] == 1.0F);
    return better;
  });
  REQUIRE(summary.ok());
  CHECK(summary->examples == 12);
  CHECK(summary->changed == 2);
  CHECK(summary->out_of_range == 1);
  CHECK(round.Update() == std::vector<int32_t>{1 << 23, 0, 0, 0, 0, 0, 0, INT32_MAX});
}

TEST_CASE("Exceptions, NaN and a trainer's own stop end the round only") {
  const Round round;
  CHECK(Refused(round.Train([](auto&, auto) -> StatusOr<TrainingSummary> {
    throw std::runtime_error("no more memory");
  }),
                StatusCode::kAborted, "the trainer threw: no more memory"));
  CHECK(Refused(round.Train([](auto&, auto) -> StatusOr<TrainingSummary> { throw 42; }),
                StatusCode::kAborted, "the trainer threw something"));
  CHECK(Refused(round.Train([](auto&, std::span<float> weights) {
    weights[3] = -INFINITY;
    return TrainingSummary();
  }),
                StatusCode::kAborted, "-inf in tensor 'fc.weight' at index 1"));
  CHECK(Refused(round.Train([](auto&, auto) -> StatusOr<TrainingSummary> {
    return absl::CancelledError("tired");
  }),
                StatusCode::kAborted, "tired"));
  CHECK(Refused(round.Train([](auto&, auto) -> StatusOr<TrainingSummary> {
    return FailedPrecondition("no data left");
  }),
                StatusCode::kFailedPrecondition, "no data left"));
}

TEST_CASE("A base that is not finite is the coordinator's doing") {
  const Round round;
  round.WriteBase(NAN);
  CHECK(Refused(round.Train(Better), StatusCode::kDataLoss, "not one of this campaign"));
  std::ofstream(round.folder + "/base") << "short";
  CHECK(Refused(round.Train(Better), StatusCode::kDataLoss, "not one of this campaign"));
}

TEST_CASE("Demonstrations send something else than they learnt") {
  const Round round;
  const auto flipped = WithBehaviour(std::make_unique<Doing>(Better), Behaviour::kSignFlip);
  REQUIRE(round.Train(*flipped).ok());
  CHECK(round.Update() == std::vector<int32_t>{-(1 << 23), 0, 0, 0, 0, 0, 0, INT32_MIN});
  const auto zero = WithBehaviour(std::make_unique<Doing>(Better), Behaviour::kZero);
  REQUIRE(round.Train(*zero).ok());
  CHECK(round.Update() == std::vector<int32_t>(8, 0));
}

}  // namespace
}  // namespace crowdteach::client
