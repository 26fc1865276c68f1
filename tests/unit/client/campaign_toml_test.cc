#include "client/campaign_toml.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "ledger/terms.h"
#include "tests/support/catch.h"

namespace crowdteach::client {
namespace {

const std::string kExample = std::string(CROWDTEACH_SOURCE_DIR) + "/examples/fashion-mnist/";

// The least a campaign.toml must say.
constexpr const char* kLeast = R"(name = "least"
model = "m.toml"
rounds = 2
teachers = 5
norm-cap = 2.5
budget = 100
credits-per-nat = 10
stake = 7
[data]
input-shape = [3]
feature-type = "float32"
classes = ["no", "yes"]
[local]
learning-rate = 0.1
steps = 1
[validation]
path = "v.csv"
)";

std::string ErrorOf(const std::string& text, const std::vector<std::string>& sets = {}) {
  const auto file = ParseCampaign(text, "dir/c.toml", sets);
  REQUIRE(file.status().code() == absl::StatusCode::kInvalidArgument);
  return Message(file.status());
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("the shipped campaign is valid and says what it says") {
  const auto file = LoadCampaign(kExample + "campaign.toml");
  REQUIRE(file.status() == OkStatus());
  const v1::Terms& terms = file->terms;
  REQUIRE(terms.name() == "fashion-mnist");
  REQUIRE(terms.model_toml().find("[[layer]]") != std::string::npos);
  REQUIRE(terms.data().input_shape_size() == 3);
  REQUIRE(terms.data().feature_type() == v1::U8);
  REQUIRE(terms.data().mean_nano(0) == 286'000'000);
  REQUIRE(terms.data().deviation_nano(0) == 353'000'000);
  REQUIRE(terms.data().classes(9) == "Ankle boot");
  REQUIRE(terms.local().optimizer() == v1::SGD);
  REQUIRE(terms.local().learning_rate_nano() == 50'000'000);
  REQUIRE(terms.rounds() == 10);
  REQUIRE(terms.quorum() == 4);
  REQUIRE(terms.commit_ms() == 120'000);
  REQUIRE(terms.close_ms() == 86'400'000);
  REQUIRE(terms.norm_cap() == uint64_t{5} << 24);
  REQUIRE(file->weights_path.empty());
  REQUIRE(file->ValidationSpec() == "/usr/share/datasets/fashion-mnist:t10k");
  REQUIRE(file->validation_limit == 1000);
  // A first loss of up to 2.9 nats is covered; a fresh ten-class model has about ln 10 = 2.3.
  REQUIRE(terms.budget() >=
          ledger::LeastBudget(terms.credits_per_nat(), (uint64_t{29} << 32) / 10));
}

TEST_CASE("defaults are the documented ones, paths are beside the file") {
  const auto file = ParseCampaign(kLeast, "dir/c.toml");
  REQUIRE(file.status() == OkStatus());
  REQUIRE(file->model_path == "dir/m.toml");
  REQUIRE(file->ValidationSpec() == "dir/v.csv");
  const v1::Terms& terms = file->terms;
  REQUIRE(terms.quorum() == 4);
  REQUIRE(terms.commit_ms() == 600'000);
  REQUIRE(terms.upload_ms() == 600'000);
  REQUIRE(terms.dispute_ms() == 86'400'000);
  REQUIRE(terms.close_ms() == 86'400'000);
  REQUIRE(terms.retention_ms() == 86'400'000);
  REQUIRE(terms.weighting() == v1::EXAMPLES);
  REQUIRE(terms.max_examples() == 1'000'000);
  REQUIRE(terms.scale_bits() == 24);
  REQUIRE(terms.norm_cap() == 41'943'040);  // 2.5 * 2^24
  REQUIRE(terms.norm_rule() == v1::CLIP);
  REQUIRE(terms.scorer() == v1::AUMANN_SHAPLEY);
  REQUIRE(terms.reward() == v1::MARKET);
  REQUIRE(terms.min_cover() == 4);
  REQUIRE(terms.max_aborts() == 3);
  REQUIRE_FALSE(terms.open_commitments());
  REQUIRE(terms.update_readers() == v1::AUDITORS);
  REQUIRE(terms.validation_readers() == v1::AUDITORS);
  REQUIRE(terms.data().mean_nano(0) == 0);
  REQUIRE(terms.data().deviation_nano(0) == 1'000'000'000);
  REQUIRE(terms.local().batch_size() == 32);
  v1::Terms with_model = terms;
  with_model.set_model_toml("x");
  REQUIRE(ledger::ValidateTerms(with_model) == OkStatus());
}

TEST_CASE("--set overrides any key: TOML, or else text") {
  const auto file =
      ParseCampaign(kLeast, "c.toml",
                    {"rounds=3", "commit=90s", "local.learning-rate=0.001", "name=two words",
                     "data.classes=[\"a\",\"b\",\"c\"]", "data.mean=[0.5]", "open-commitments=true",
                     "update-readers=public", "validation.prefix=t10k", "norm-cap=\"0.000000001\"",
                     "scale-bits=30"});
  REQUIRE(file.status() == OkStatus());
  REQUIRE(file->terms.rounds() == 3);
  REQUIRE(file->terms.commit_ms() == 90'000);
  REQUIRE(file->terms.local().learning_rate_nano() == 1'000'000);
  REQUIRE(file->terms.name() == "two words");
  REQUIRE(file->terms.data().classes_size() == 3);
  REQUIRE(file->terms.data().mean_nano(0) == 500'000'000);
  REQUIRE(file->terms.open_commitments());
  REQUIRE(file->terms.update_readers() == v1::PUBLIC);
  REQUIRE(file->ValidationSpec() == "v.csv:t10k");
  REQUIRE(file->terms.norm_cap() == 1);  // 1.07 rounds to 1

  REQUIRE(ErrorOf(kLeast, {"rounds"}) ==
          "--set \"rounds\": must be KEY=VALUE, such as rounds=3 or local.steps=20");
  REQUIRE(ErrorOf(kLeast, {"rounds.x=1"}) == "--set rounds.x: rounds is not a table");
  REQUIRE(ErrorOf(kLeast, {"rounds=many"}) == "--set rounds: rounds: must be a whole number");
  REQUIRE(ErrorOf(kLeast, {"name=x\ny = 2", "rounds=x"}).find("--set rounds") == 0);
  REQUIRE(ErrorOf(kLeast, {"colour=red"}).find("--set colour: \"colour\": unknown key") == 0);
}

TEST_CASE("errors name file, line and key") {
  REQUIRE(ErrorOf("name = \"a\"\nrounds = = 2\n").find("dir/c.toml:2: ") == 0);
  REQUIRE(ErrorOf("rounds = 2\n") == "dir/c.toml: name: is missing; it is required");
  const auto spoilt = [](const std::string& from, const std::string& to) {
    return ErrorOf(Replaced(kLeast, from, to));
  };
  REQUIRE(spoilt("rounds = 2", "rounds = \"2\"") == "dir/c.toml:3: rounds: must be a whole number");
  REQUIRE(spoilt("rounds = 2", "rounds = -2") == "dir/c.toml:3: rounds: -2 must not be negative");
  REQUIRE(spoilt("rounds = 2", "rounds = 4294967296") ==
          "dir/c.toml:3: rounds: 4294967296 is too large");
  REQUIRE(
      spoilt("rounds = 2", "rounds = 2\ncommit = \"1.5h\"") ==
      "dir/c.toml:4: commit: \"1.5h\": must be a duration: a whole number and ms, s, m, h or d, "
      "such as \"90s\"");
  REQUIRE(spoilt("rounds = 2", "rounds = 2\ncommit = 90") ==
          "dir/c.toml:4: commit: must be text in quotes");
  REQUIRE(spoilt("rounds = 2", "rounds = 2\nround = 2")
              .find("dir/c.toml:4: \"round\": unknown key; the keys here are budget, close, ") ==
          0);
  REQUIRE(spoilt("steps = 1", "steps = 1\nlearning_rate = 1")
              .find("dir/c.toml:16: \"local.learning_rate\": unknown key; the keys here are "
                    "batch-size") == 0);
  REQUIRE(spoilt("rounds = 2", "rounds = 2\n\"data.mean\" = 2").find("unknown key") !=
          std::string::npos);
  REQUIRE(spoilt("[local]", "[teachers2]\n[local]").find("\"teachers2\": unknown key") !=
          std::string::npos);
  REQUIRE(spoilt("\"float32\"", "\"f64\"") ==
          "dir/c.toml:11: data.feature-type: \"f64\" is not known; must be \"u8\" or \"float32\"");
  REQUIRE(spoilt("[3]", "3") == "dir/c.toml:10: data.input-shape: must be a list of whole numbers");
  REQUIRE(
      spoilt("learning-rate = 0.1", "learning-rate = 0.0000000001") ==
      "dir/c.toml:14: local.learning-rate: must have at most 9 decimals: it is recorded exactly");
  REQUIRE(spoilt("learning-rate = 0.1", "learning-rate = nan").find("must be within") !=
          std::string::npos);
  REQUIRE(spoilt("learning-rate = 0.1", "learning-rate = -0.1") ==
          "dir/c.toml:14: local.learning-rate: must not be negative");
  REQUIRE(spoilt("norm-cap = 2.5", "norm-cap = 0") ==
          "dir/c.toml:5: norm-cap: must be 2^-24 to 2^23 at scale-bits = 24");
  REQUIRE(spoilt("norm-cap = 2.5", "norm-cap = 9000000000").find("norm-cap: must be 2^-24") !=
          std::string::npos);
}

TEST_CASE("a term out of its range is found at its line") {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("toml-{}", getpid());
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "c.toml").string();
  std::ofstream(path) << kLeast;
  REQUIRE(LoadCampaign(path).status().code() == absl::StatusCode::kNotFound);  // m.toml
  std::ofstream(folder / "m.toml") << "layers";
  REQUIRE(LoadCampaign(path).status() == OkStatus());
  REQUIRE(LoadCampaign(path)->terms.model_toml() == "layers");
  REQUIRE(Message(LoadCampaign(path, {"quorum=6"}).status()) ==
          "--set quorum: quorum = 6: must be 1 to 5; it counts among the selected teachers");
  std::ofstream(path) << Replaced(kLeast, "steps = 1", "steps = 1\nepochs = 2");
  REQUIRE(Message(LoadCampaign(path).status()).find(path + ":15: local.steps = 1 with") == 0);
  REQUIRE(LoadCampaign(folder.string()).status().code() == absl::StatusCode::kInvalidArgument);
  std::filesystem::remove_all(folder);
}

TEST_CASE("durations and decimals are exact") {
  REQUIRE(*ParseDurationMs("500ms") == 500);
  REQUIRE(*ParseDurationMs("90s") == 90'000);
  REQUIRE(*ParseDurationMs("15m") == 900'000);
  REQUIRE(*ParseDurationMs("2h") == 7'200'000);
  REQUIRE(*ParseDurationMs("7d") == 604'800'000);
  REQUIRE(*ParseDurationMs("0s") == 0);
  for (const char* bad :
       {"", "s", "5", "5 s", "-5s", "+5s", "1.5s", "5w", "99999999999999999999s"}) {
    REQUIRE(ParseDurationMs(bad).status().code() == absl::StatusCode::kInvalidArgument);
  }
  REQUIRE(*ParseNano("0.05") == 50'000'000);
  REQUIRE(*ParseNano("-1") == -1'000'000'000);
  REQUIRE(*ParseNano("9000000000.000000001") == 9'000'000'000'000'000'001);
  REQUIRE(*ParseNano("0.123456789") == 123'456'789);
  for (const char* bad : {"", "-", ".5", "5.", "1e3", "0.1234567890", "9000000001", "99999999999",
                          "1,5", " 1", "+1", "0x1"}) {
    REQUIRE(ParseNano(bad).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace crowdteach::client
