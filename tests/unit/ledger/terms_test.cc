#include "ledger/terms.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace crowdteach::ledger {
namespace {

v1::Terms GoodTerms() {
  v1::Terms terms;
  terms.set_name("clothes");
  terms.set_model_toml("layers = []\n");
  v1::DataTerms& data = *terms.mutable_data();
  for (const uint32_t dimension : {3, 4, 2}) data.add_input_shape(dimension);
  data.set_feature_type(v1::U8);
  data.add_mean_nano(286'000'000);
  data.add_deviation_nano(353'000'000);
  data.add_classes("shirt");
  data.add_classes("shoe");
  v1::LocalTerms& local = *terms.mutable_local();
  local.set_optimizer(v1::SGD);
  local.set_learning_rate_nano(50'000'000);
  local.set_batch_size(32);
  local.set_steps(20);
  terms.set_rounds(10);
  terms.set_teachers(6);
  terms.set_quorum(4);
  terms.set_commit_ms(1);
  terms.set_upload_ms(kMaxDurationMs);
  terms.set_dispute_ms(0);
  terms.set_close_ms(1000);
  terms.set_weighting(v1::EXAMPLES);
  terms.set_max_examples(1'000'000);
  terms.set_scale_bits(24);
  terms.set_norm_cap(uint64_t{5} << 24);
  terms.set_norm_rule(v1::CLIP);
  terms.set_scorer(v1::AUMANN_SHAPLEY);
  terms.set_reward(v1::MARKET);
  terms.set_budget(3'000);
  terms.set_credits_per_nat(1'000);
  terms.set_stake(200);
  terms.set_min_cover(200);
  terms.set_max_aborts(3);
  terms.set_update_readers(v1::AUDITORS);
  terms.set_validation_readers(v1::PUBLIC);
  terms.set_retention_ms(0);
  return terms;
}

v1::CampaignOpen GoodOpen() {
  v1::CampaignOpen open;
  *open.mutable_terms() = GoodTerms();
  open.set_model_digest(std::string(32, 'm'));
  open.set_model_size_bytes(4'100);
  open.set_parameters(1'000);
  open.set_validation_root(std::string(32, 'r'));
  open.set_validation_count(100);
  open.set_validation_digest(std::string(32, 'd'));
  open.set_loss_q32(uint64_t{3} << 32);
  open.set_correct(100);
  return open;
}

struct BadTerms {
  std::function<void(v1::Terms&)> spoil;
  std::string message;
};

const std::vector<BadTerms>& BadTable() {
  using T = v1::Terms;
  static const std::vector<BadTerms> table = {
      {[](T& t) { t.set_name(""); },
       "name = \"\": must be 1 to 80 printable ASCII characters; rename the campaign"},
      {[](T& t) { t.set_name("caf\xc3\xa9\n"); },
       "name = \"caf\\xc3\\xa9\\x0a\": must be 1 to 80 printable ASCII characters; rename the "
       "campaign"},
      {[](T& t) { t.set_model_toml(std::string(32769, 'x')); },
       "model = 32769 bytes: must be 1 to 32768 bytes; it is recorded in the log"},
      {[](T& t) { t.set_model_toml("\xc0\x80"); },
       "model = bytes that are not UTF-8: must be UTF-8 text; save the model file as UTF-8"},
      {[](T& t) { t.set_rounds(0); }, "rounds = 0: must be 1 to 10000; 10 is a good start"},
      {[](T& t) { t.set_rounds(10001); }, "rounds = 10001: must be 1 to 10000; 10 is a good start"},
      {[](T& t) { t.set_teachers(257); },
       "teachers = 257: must be 1 to 256; so many are selected in a round"},
      {[](T& t) { t.set_quorum(0); },
       "quorum = 0: must be 1 to 6; it counts among the selected teachers"},
      {[](T& t) { t.set_quorum(7); },
       "quorum = 7: must be 1 to 6; it counts among the selected teachers"},
      {[](T& t) { t.set_commit_ms(0); },
       "commit = 0ms: must be 1ms to 365d; training happens in it: \"10m\", say"},
      {[](T& t) { t.set_upload_ms(kMaxDurationMs + 1); },
       "upload = 31536000001ms: must be 1ms to 365d; long enough for the slowest line"},
      {[](T& t) { t.set_close_ms(0); },
       "close = 0ms: must be 1ms to 365d; the owner's time to close the campaign"},
      {[](T& t) { t.set_dispute_ms(kMaxDurationMs + 1); },
       "dispute = 31536000001ms: must be 0 to 365d; rewards are held so long"},
      {[](T& t) { t.set_dispute_ms(5); },
       "retention = 0ms: must be 5ms (dispute) to 365d; evidence must outlive the dispute window"},
      {[](T& t) { t.set_max_aborts(0); },
       "max-aborts = 0: must be 1 to 1000; so many aborted rounds in a row end the campaign"},
      {[](T& t) { t.set_weighting(v1::WEIGHTING_UNSPECIFIED); },
       "weighting = 0: must be equal or examples; choose how updates are weighted"},
      {[](T& t) { t.set_max_examples(0); },
       "max-examples = 0: must be 1 to 715827882; times teachers it must stay below 2^32"},
      {[](T& t) { t.set_max_examples(715827883); },
       "max-examples = 715827883: must be 1 to 715827882; times teachers it must stay below 2^32"},
      {[](T& t) { t.mutable_data()->clear_input_shape(); },
       "data.input-shape = 0 dimensions: must be 1 to 8 dimensions; give one example's shape "
       "without the batch, such as [1, 28, 28]"},
      {[](T& t) { t.mutable_data()->set_input_shape(1, 0); },
       "data.input-shape = 0: must be 1 to 16777216; that is one of its dimensions"},
      {[](T& t) { t.mutable_data()->set_input_shape(1, 1u << 23); },
       "data.input-shape = 25165824 or more values: must be at most 16777216 values; use smaller "
       "examples"},
      {[](T& t) { t.mutable_data()->set_feature_type(v1::FEATURE_TYPE_UNSPECIFIED); },
       "data.feature-type = 0: must be u8 or float32; u8 for bytes such as pixels, float32 for "
       "other numbers"},
      {[](T& t) { t.mutable_data()->add_mean_nano(0); },
       "data.mean = 2 values: must be one value or one for each of 3 channels; channels are the "
       "first number of data.input-shape"},
      {[](T& t) { t.mutable_data()->clear_deviation_nano(); },
       "data.deviation = 0 values: must be one value or one for each of 3 channels; channels are "
       "the first number of data.input-shape"},
      {[](T& t) { t.mutable_data()->set_mean_nano(0, std::numeric_limits<int64_t>::min()); },
       "data.mean = -9223372036.854775808: must be within ±1000000000; check the unit"},
      {[](T& t) { t.mutable_data()->set_deviation_nano(0, 0); },
       "data.deviation = 0: must be 0.000000001 to 1000000000; features are divided by it; 1 "
       "leaves "
       "them as they are"},
      {[](T& t) { t.mutable_data()->mutable_classes()->RemoveLast(); },
       "data.classes = 1 names: must be 2 to 65536 names; name every class, in the order of "
       "labels"},
      {[](T& t) { t.mutable_data()->add_classes("shoe"); },
       "data.classes = \"shoe\": must be unique; it is listed twice"},
      {[](T& t) { t.mutable_data()->add_classes(""); },
       "data.classes = \"\": must be 1 to 200 bytes of UTF-8 without control characters; rename "
       "it"},
      {[](T& t) { t.mutable_data()->add_classes("\xed\xa0\x80"); },
       "data.classes = \"\\xed\\xa0\\x80\": must be 1 to 200 bytes of UTF-8 without control "
       "characters; rename it"},
      {[](T& t) { t.mutable_data()->add_csv_feature_columns("a"); },
       "data.csv-label-column = \"\": must be set when data.csv-feature-columns is; name the "
       "column "
       "that holds the label"},
      {[](T& t) { t.mutable_data()->set_csv_label_column("y"); },
       "data.csv-feature-columns = 0 columns: must be 24 columns, as many as data.input-shape has "
       "values; list the missing ones or mend the shape"},
      {[](T& t) {
         t.mutable_data()->set_csv_label_column("y");
         t.mutable_data()->add_csv_feature_columns("y");
       },
       "data.csv-feature-columns = \"y\": must be other than data.csv-label-column; the label "
       "cannot "
       "be a feature"},
      {[](T& t) {
         t.mutable_data()->set_csv_label_column("y");
         t.mutable_data()->add_csv_feature_columns("a");
         t.mutable_data()->add_csv_feature_columns("a");
       },
       "data.csv-feature-columns = \"a\": must be unique; it is listed twice"},
      {[](T& t) {
         t.mutable_data()->set_csv_label_column("y");
         t.mutable_data()->add_csv_feature_columns("a");
       },
       "data.csv-feature-columns = 1 columns: must be 24 columns, as many as data.input-shape has "
       "values; list the missing ones or mend the shape"},
      {[](T& t) { t.mutable_local()->set_optimizer(v1::OPTIMIZER_UNSPECIFIED); },
       "local.optimizer = 0: must be sgd or adam; choose how teachers train"},
      {[](T& t) { t.mutable_local()->set_learning_rate_nano(0); },
       "local.learning-rate = 0: must be 0.000000001 to 1000; 0.05 is a usual start for sgd, 0.001 "
       "for adam"},
      {[](T& t) { t.mutable_local()->set_momentum_nano(1'000'000'000); },
       "local.momentum = 1: must be 0 to 0.999999999; 0.9 is usual, 0 is none"},
      {[](T& t) {
         t.mutable_local()->set_optimizer(v1::ADAM);
         t.mutable_local()->set_momentum_nano(900'000'000);
       },
       "local.momentum = 0.9: must be 0 with adam; leave it out, or choose sgd"},
      {[](T& t) { t.mutable_local()->set_weight_decay_nano(std::numeric_limits<uint64_t>::max()); },
       "local.weight-decay = 18446744073709551615e-9: must be 0 to 1000; 0 is none"},
      {[](T& t) { t.mutable_local()->set_fedprox_mu_nano(1'000'000'000'001); },
       "local.fedprox-mu = 1000.000000001: must be 0 to 1000; 0 is no proximal term"},
      {[](T& t) { t.mutable_local()->set_batch_size(0); },
       "local.batch-size = 0: must be 1 to 65536; 32 is usual"},
      {[](T& t) { t.mutable_local()->set_steps(0); },
       "local.steps = 0 with local.epochs = 0: must be set, or else local.epochs, and not both; "
       "steps treats unequal teachers alike"},
      {[](T& t) { t.mutable_local()->set_epochs(1); },
       "local.steps = 20 with local.epochs = 1: must be set, or else local.epochs, and not both; "
       "steps treats unequal teachers alike"},
      {[](T& t) { t.mutable_local()->set_steps(1'000'001); },
       "local.steps = 1000001: must be 0 to 1000000; use more rounds instead"},
      {[](T& t) { t.set_scale_bits(15); }, "scale-bits = 15: must be 16 to 30; 24 is the default"},
      {[](T& t) { t.set_scale_bits(31); }, "scale-bits = 31: must be 16 to 30; 24 is the default"},
      {[](T& t) { t.set_norm_cap(0); },
       "norm-cap = 0·2^-24: must be 1 to 140737488355328 of these units; some times the norm of an "
       "honest update"},
      {[](T& t) { t.set_norm_rule(v1::NORM_RULE_UNSPECIFIED); },
       "norm-rule = 0: must be clip or reject; say what happens over norm-cap"},
      {[](T& t) { t.set_scorer(v1::SCORER_KIND_UNSPECIFIED); },
       "scorer = 0: must be aumann-shapley; the market rule pays in nats that add up to the "
       "improvement"},
      {[](T& t) { t.set_reward(v1::REWARD_RULE_UNSPECIFIED); },
       "reward = 0: must be market; no other rule exists yet"},
      {[](T& t) { t.set_budget(kMaxCredits + 1); },
       "budget = 4611686018427387905: must be 1 to 4611686018427387904; credits for all rounds"},
      {[](T& t) { t.set_credits_per_nat(0); },
       "credits-per-nat = 0: must be 1 to 4611686018427387904; the price of one nat of validation "
       "loss"},
      {[](T& t) { t.set_stake(0); },
       "stake = 0: must be 1 to 4611686018427387904; a teacher's harm is charged to it"},
      {[](T& t) { t.set_min_cover(0); },
       "min-cover = 0: must be 1 to 200; a fresh teacher has only its stake, and must be able to "
       "take part"},
      {[](T& t) { t.set_min_cover(201); },
       "min-cover = 201: must be 1 to 200; a fresh teacher has only its stake, and must be able to "
       "take part"},
      {[](T& t) { t.set_update_readers(v1::READERS_UNSPECIFIED); },
       "update-readers = 0: must be auditors, enrolled or public; auditors is default"},
      {[](T& t) { t.set_validation_readers(static_cast<v1::Readers>(9)); },
       "validation-readers = 9: must be auditors, enrolled or public; auditors is default"},
  };
  return table;
}

}  // namespace

TEST_CASE("good terms and a good launch are accepted, at their bounds too") {
  REQUIRE(ValidateTerms(GoodTerms()) == OkStatus());
  REQUIRE(ValidateOpen(GoodOpen()) == OkStatus());
  v1::Terms terms = GoodTerms();
  terms.set_name(std::string(80, '~'));
  terms.set_model_toml(std::string(kMaxModelTomlBytes, '#'));
  terms.set_rounds(kMaxRounds);
  terms.set_teachers(kMaxTeachers);
  terms.set_quorum(kMaxTeachers);
  terms.set_max_examples((uint64_t{1} << 24) - 1);
  terms.set_scale_bits(kMaxScaleBits);
  terms.set_norm_cap(kMaxNormCap);
  terms.mutable_data()->add_mean_nano(-1);
  terms.mutable_data()->add_mean_nano(0);  // one a channel
  REQUIRE(ValidateTerms(terms) == OkStatus());
}

TEST_CASE("every bad term is named with its value, its range and the mend") {
  for (const BadTerms& bad : BadTable()) {
    v1::Terms terms = GoodTerms();
    bad.spoil(terms);
    const Status status = ValidateTerms(terms);
    REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
    REQUIRE(Message(status) == bad.message);
  }
}

TEST_CASE("terms too long for an entry are refused") {
  v1::Terms terms = GoodTerms();
  for (int i = 0; i < 400; ++i) terms.mutable_data()->add_classes(fmt::format("{:0>200}", i));
  REQUIRE(Message(ValidateTerms(terms)).find("must be terms of at most 64000 bytes") !=
          std::string::npos);
}

TEST_CASE("the launch is checked against the terms") {
  struct Case {
    std::function<void(v1::CampaignOpen&)> spoil;
    std::string message;
  };
  using O = v1::CampaignOpen;
  const std::vector<Case> cases = {
      {[](O& o) { o.mutable_terms()->set_rounds(0); },
       "rounds = 0: must be 1 to 10000; 10 is a good start"},
      {[](O& o) { o.set_model_digest("x"); },
       "model-digest = 1 bytes: must be 32 bytes; it is a SHA-256 digest"},
      {[](O& o) { o.clear_validation_root(); },
       "validation-root = 0 bytes: must be 32 bytes; it is a SHA-256 digest"},
      {[](O& o) { o.set_validation_digest(std::string(33, 'd')); },
       "validation-digest = 33 bytes: must be 32 bytes; it is a SHA-256 digest"},
      {[](O& o) { o.set_parameters(0); },
       "parameters = 0: must be 1 to 2147483648; these are the model's trainable ones"},
      {[](O& o) { o.set_model_size_bytes(3999); },
       "model-size-bytes = 3999: must be 4000 to 68719476736; a parameter has 4 bytes"},
      {[](O& o) { o.set_validation_count(0); },
       "validation-count = 0: must be 1 to 4294967296; examples in the validation set"},
      {[](O& o) { o.set_correct(101); },
       "correct = 101: must be 0 to 100; it counts among the validation examples"},
      {[](O& o) { o.set_loss_q32(kMaxLossQ32); },
       "loss-q32 = 4503599627370496: must be 0 to 4503599627370495; the first weights' loss must "
       "be "
       "below 2^20 nats"},
      {[](O& o) { o.set_loss_q32((uint64_t{3} << 32) + 1); },
       "budget = 3000: must be at least 3001; the first loss is 3.000 nats at credits-per-nat = "
       "1000: raise budget, or lower credits-per-nat"},
  };
  for (const Case& bad : cases) {
    v1::CampaignOpen open = GoodOpen();
    bad.spoil(open);
    REQUIRE(Message(ValidateOpen(open)) == bad.message);
  }
}

TEST_CASE("the least budget is exact beyond 64 bits") {
  REQUIRE(LeastBudget(1000, 0) == 0);
  REQUIRE(LeastBudget(1, 1) == 1);
  REQUIRE(LeastBudget(7, uint64_t{1} << 32) == 7);
  REQUIRE(LeastBudget(kMaxCredits, (uint64_t{1} << 32) - 1) == kMaxCredits - (kMaxCredits >> 32));
  REQUIRE(LeastBudget(kMaxCredits, kMaxLossQ32 - 1) == std::numeric_limits<uint64_t>::max());
}

}  // namespace crowdteach::ledger
