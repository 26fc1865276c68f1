#include "client/campaign_toml.h"

#include <filesystem>
#include <limits>

#include "client/toml_reader.h"
#include "learning/data/readers.h"
#include "learning/model/model_spec.h"
#include "ledger/terms.h"
#include "proto/base/file.h"

namespace crowdteach::client {
namespace {

constexpr size_t kMaxFileBytes = size_t{4} << 20;

template <typename E>
using Choices = std::vector<std::pair<std::string_view, E>>;

const Choices<v1::Readers>& ReaderChoices() {
  static const Choices<v1::Readers> choices = {
      {"auditors", v1::AUDITORS}, {"enrolled", v1::ENROLLED}, {"public", v1::PUBLIC}};
  return choices;
}

Status ReadData(TomlReader& in, v1::DataTerms* data) {
  CT_ASSIGN_OR_RETURN(const auto shape, in.Integers("data.input-shape"));
  for (const uint64_t dimension : shape) {
    if (dimension > std::numeric_limits<uint32_t>::max()) {
      return in.Error("data.input-shape", fmt::format("{} is too large", dimension));
    }
    data->add_input_shape(static_cast<uint32_t>(dimension));
  }
  CT_ASSIGN_OR_RETURN(const auto type, in.Choice("data.feature-type",
                                                 Choices<v1::FeatureType>{
                                                     {"u8", v1::U8}, {"float32", v1::FLOAT32}}));
  data->set_feature_type(type);
  CT_ASSIGN_OR_RETURN(const auto mean, in.Nanos("data.mean", 0));
  for (const int64_t value : mean) data->add_mean_nano(value);
  CT_ASSIGN_OR_RETURN(const auto deviation, in.Nanos("data.deviation", 1'000'000'000));
  for (const int64_t value : deviation) {
    if (value <= 0) return in.Error("data.deviation", "must be above 0");
    data->add_deviation_nano(static_cast<uint64_t>(value));
  }
  CT_ASSIGN_OR_RETURN(const auto classes, in.Strings("data.classes"));
  for (const std::string& name : classes) data->add_classes(name);
  CT_ASSIGN_OR_RETURN(*data->mutable_csv_label_column(), in.String("data.csv-label-column", ""));
  if (in.Has("data.csv-feature-columns")) {
    CT_ASSIGN_OR_RETURN(const auto columns, in.Strings("data.csv-feature-columns"));
    for (const std::string& name : columns) data->add_csv_feature_columns(name);
  }
  return OkStatus();
}

Status ReadLocal(TomlReader& in, v1::LocalTerms* local) {
  CT_ASSIGN_OR_RETURN(
      const auto optimizer,
      in.Choice("local.optimizer", Choices<v1::Optimizer>{{"sgd", v1::SGD}, {"adam", v1::ADAM}},
                "sgd"));
  local->set_optimizer(optimizer);
  CT_ASSIGN_OR_RETURN(const uint64_t rate, in.Nano("local.learning-rate"));
  local->set_learning_rate_nano(rate);
  CT_ASSIGN_OR_RETURN(const uint64_t momentum, in.Nano("local.momentum", 0));
  local->set_momentum_nano(momentum);
  CT_ASSIGN_OR_RETURN(const uint64_t decay, in.Nano("local.weight-decay", 0));
  local->set_weight_decay_nano(decay);
  CT_ASSIGN_OR_RETURN(const uint64_t mu, in.Nano("local.fedprox-mu", 0));
  local->set_fedprox_mu_nano(mu);
  CT_ASSIGN_OR_RETURN(const uint32_t batch, in.Small("local.batch-size", 32));
  local->set_batch_size(batch);
  CT_ASSIGN_OR_RETURN(const uint32_t steps, in.Small("local.steps", 0));
  local->set_steps(steps);
  CT_ASSIGN_OR_RETURN(const uint32_t epochs, in.Small("local.epochs", 0));
  local->set_epochs(epochs);
  return OkStatus();
}

Status ReadRounds(TomlReader& in, v1::Terms* terms) {
  CT_ASSIGN_OR_RETURN(const uint32_t rounds, in.Small("rounds"));
  terms->set_rounds(rounds);
  CT_ASSIGN_OR_RETURN(const uint32_t teachers, in.Small("teachers"));
  terms->set_teachers(teachers);
  const auto two_thirds = static_cast<uint32_t>((uint64_t{2} * teachers + 2) / 3);
  CT_ASSIGN_OR_RETURN(const uint32_t quorum, in.Small("quorum", two_thirds));
  terms->set_quorum(quorum);
  CT_ASSIGN_OR_RETURN(const uint64_t commit, in.DurationMs("commit", "10m"));
  terms->set_commit_ms(commit);
  CT_ASSIGN_OR_RETURN(const uint64_t upload, in.DurationMs("upload", "10m"));
  terms->set_upload_ms(upload);
  CT_ASSIGN_OR_RETURN(const uint64_t dispute, in.DurationMs("dispute", "1d"));
  terms->set_dispute_ms(dispute);
  CT_ASSIGN_OR_RETURN(const uint64_t close, in.DurationMs("close", "1d"));
  terms->set_close_ms(close);
  CT_ASSIGN_OR_RETURN(const uint64_t retention,
                      in.DurationMs("retention", fmt::format("{}ms", dispute)));
  terms->set_retention_ms(retention);
  CT_ASSIGN_OR_RETURN(const uint32_t aborts, in.Small("max-aborts", 3));
  terms->set_max_aborts(aborts);
  CT_ASSIGN_OR_RETURN(const bool open, in.Boolean("open-commitments", false));
  terms->set_open_commitments(open);
  return OkStatus();
}

// round(cap · 2^s), halves to even.
StatusOr<uint64_t> ScaledCap(const TomlReader& in, uint64_t cap_nano, uint32_t scale_bits) {
  constexpr uint64_t kUnit = 1'000'000'000;
  if (scale_bits > ledger::kMaxScaleBits) return uint64_t{1};  // ValidateTerms names scale-bits
  const auto scaled = static_cast<unsigned __int128>(cap_nano) << scale_bits;
  unsigned __int128 cap = scaled / kUnit;
  const auto rest = static_cast<uint64_t>(scaled % kUnit);
  if (rest > kUnit / 2 || (rest == kUnit / 2 && (cap & 1) != 0)) ++cap;
  if (cap < 1 || cap > ledger::kMaxNormCap) {
    return in.Error("norm-cap", fmt::format("must be 2^-{} to 2^{} at scale-bits = {}", scale_bits,
                                            47 - static_cast<int>(scale_bits), scale_bits));
  }
  return static_cast<uint64_t>(cap);
}

Status ReadUpdate(TomlReader& in, v1::Terms* terms) {
  CT_ASSIGN_OR_RETURN(
      const auto weighting,
      in.Choice("weighting",
                Choices<v1::Weighting>{{"equal", v1::EQUAL}, {"examples", v1::EXAMPLES}},
                "examples"));
  terms->set_weighting(weighting);
  CT_ASSIGN_OR_RETURN(const uint64_t examples, in.Integer("max-examples", 1'000'000));
  terms->set_max_examples(examples);
  CT_ASSIGN_OR_RETURN(const uint32_t scale_bits, in.Small("scale-bits", 24));
  terms->set_scale_bits(scale_bits);
  CT_ASSIGN_OR_RETURN(const uint64_t cap_nano, in.Nano("norm-cap"));
  CT_ASSIGN_OR_RETURN(const uint64_t cap, ScaledCap(in, cap_nano, scale_bits));
  terms->set_norm_cap(cap);
  CT_ASSIGN_OR_RETURN(
      const auto rule,
      in.Choice("norm-rule", Choices<v1::NormRule>{{"clip", v1::CLIP}, {"reject", v1::REJECT}},
                "clip"));
  terms->set_norm_rule(rule);
  return OkStatus();
}

Status ReadMoney(TomlReader& in, v1::Terms* terms) {
  CT_ASSIGN_OR_RETURN(
      const auto scorer,
      in.Choice("scorer", Choices<v1::ScorerKind>{{"aumann-shapley", v1::AUMANN_SHAPLEY}},
                "aumann-shapley"));
  terms->set_scorer(scorer);
  CT_ASSIGN_OR_RETURN(
      const auto reward,
      in.Choice("reward", Choices<v1::RewardRule>{{"market", v1::MARKET}}, "market"));
  terms->set_reward(reward);
  CT_ASSIGN_OR_RETURN(const uint64_t budget, in.Integer("budget"));
  terms->set_budget(budget);
  CT_ASSIGN_OR_RETURN(const uint64_t price, in.Integer("credits-per-nat"));
  terms->set_credits_per_nat(price);
  CT_ASSIGN_OR_RETURN(const uint64_t stake, in.Integer("stake"));
  terms->set_stake(stake);
  CT_ASSIGN_OR_RETURN(const uint64_t cover, in.Integer("min-cover", stake / 2 + stake % 2));
  terms->set_min_cover(cover);
  CT_ASSIGN_OR_RETURN(const auto updates, in.Choice("update-readers", ReaderChoices(), "auditors"));
  terms->set_update_readers(updates);
  CT_ASSIGN_OR_RETURN(const auto validation,
                      in.Choice("validation-readers", ReaderChoices(), "auditors"));
  terms->set_validation_readers(validation);
  return OkStatus();
}

// `path` as seen from the folder of the file `name`.
std::string Beside(const std::string& name, const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(name).parent_path();
  return path.empty() ? path : (folder / path).lexically_normal().string();
}

StatusOr<CampaignFile> ReadCampaign(TomlReader& in, const std::string& name) {
  CampaignFile file;
  v1::Terms* terms = &file.terms;
  CT_ASSIGN_OR_RETURN(*terms->mutable_name(), in.String("name"));
  CT_ASSIGN_OR_RETURN(const std::string model, in.String("model"));
  file.model_path = Beside(name, model);
  CT_ASSIGN_OR_RETURN(const std::string weights, in.String("weights", ""));
  file.weights_path = Beside(name, weights);
  CT_RETURN_IF_ERROR(ReadRounds(in, terms));
  CT_RETURN_IF_ERROR(ReadUpdate(in, terms));
  CT_RETURN_IF_ERROR(ReadMoney(in, terms));
  CT_RETURN_IF_ERROR(ReadData(in, terms->mutable_data()));
  CT_RETURN_IF_ERROR(ReadLocal(in, terms->mutable_local()));
  CT_ASSIGN_OR_RETURN(const std::string validation, in.String("validation.path"));
  file.validation_path = Beside(name, validation);
  CT_ASSIGN_OR_RETURN(file.validation_prefix, in.String("validation.prefix", ""));
  CT_ASSIGN_OR_RETURN(file.validation_limit, in.Integer("validation.limit", 0));
  CT_RETURN_IF_ERROR(in.ExpectAllRead());
  return file;
}

}  // namespace

std::string CampaignFile::ModelCodePath() const {
  return (std::filesystem::path(model_path).parent_path() / learning::kCodeFileName).string();
}

std::string CampaignFile::ValidationSpec() const {
  return validation_prefix.empty() ? validation_path
                                   : fmt::format("{}:{}", validation_path, validation_prefix);
}

StatusOr<CampaignFile> ParseCampaign(std::string_view text, const std::string& name,
                                     const std::vector<std::string>& sets) {
  CT_ASSIGN_OR_RETURN(TomlReader in, TomlReader::Parse(text, name, sets));
  return ReadCampaign(in, name);
}

StatusOr<CampaignFile> LoadCampaign(const std::string& path, const std::vector<std::string>& sets) {
  CT_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kMaxFileBytes));
  CT_ASSIGN_OR_RETURN(TomlReader in, TomlReader::Parse(text, path, sets));
  CT_ASSIGN_OR_RETURN(CampaignFile file, ReadCampaign(in, path));
  StatusOr<std::string> model = base::ReadFile(file.model_path, kMaxFileBytes);
  if (!model.ok()) return Annotate(model.status(), in.Place("model"));
  *file.terms.mutable_model_toml() = *std::move(model);
  const Status columns = learning::ListCsvColumns(file.ValidationSpec(), file.terms.mutable_data());
  if (absl::IsNotFound(columns)) return Annotate(columns, in.Place("validation.path"));
  CT_RETURN_IF_ERROR(columns);
  const Status valid = ledger::ValidateTerms(file.terms);
  if (valid.ok()) return file;
  // Its message starts with the term's key: say where that stands.
  const std::string message = Message(valid);
  return Annotate(valid, in.Place(message.substr(0, message.find(' '))));
}

}  // namespace crowdteach::client
