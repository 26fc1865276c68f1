#include "ledger/terms.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <string_view>

#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

constexpr int64_t kNano = 1'000'000'000;
constexpr int64_t kMaxMeanNano = kNano * kNano;
constexpr uint64_t kMaxRateNano = uint64_t{1000} * kNano;
constexpr uint32_t kMaxBatch = 65536;
constexpr uint32_t kMaxSteps = 1'000'000;
constexpr uint32_t kMaxEpochs = 10'000;

// The one form of a message; `value` is anything fmt prints.
template <typename T>
Status Bad(std::string_view key, const T& value, std::string_view allowed, std::string_view mend) {
  return InvalidArgument("{} = {}: must be {}; {}", key, value, allowed, mend);
}

Status CheckRange(std::string_view key, uint64_t value, uint64_t least, uint64_t most,
                  std::string_view mend) {
  if (value >= least && value <= most) return OkStatus();
  return Bad(key, value, fmt::format("{} to {}", least, most), mend);
}

// 123456789 nano is "0.123456789", without floating point.
std::string Decimal(int64_t nano) {
  const uint64_t size = nano < 0 ? -static_cast<uint64_t>(nano) : static_cast<uint64_t>(nano);
  std::string text =
      fmt::format("{}{}.{:09}", nano < 0 ? "-" : "", size / kNano, size % uint64_t{kNano});
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}
std::string Decimal(uint64_t nano) {
  return nano > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())
             ? fmt::format("{}e-9", nano)
             : Decimal(static_cast<int64_t>(nano));
}

Status CheckNano(std::string_view key, uint64_t nano, uint64_t least, uint64_t most,
                 std::string_view mend) {
  if (nano >= least && nano <= most) return OkStatus();
  return Bad(key, Decimal(nano), fmt::format("{} to {}", Decimal(least), Decimal(most)), mend);
}

// Shortest form, no surrogates, at most U+10FFFF (RFC 3629).
bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead >= 0xF5 || (lead >= 0x80 && lead < 0xC2) || i + length > text.size()) return false;
    uint32_t point = length == 1 ? lead : lead & (0x7F >> length);
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      point = point << 6 | (next & 0x3F);
    }
    if ((length == 3 && point < 0x800) || (length == 4 && (point < 0x10000 || point > 0x10FFFF)) ||
        (point >= 0xD800 && point <= 0xDFFF)) {
      return false;
    }
    i += length;
  }
  return true;
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

Status CheckLabel(std::string_view key, std::string_view text) {
  if (!text.empty() && text.size() <= kMaxNameBytes && IsUtf8(text) && !HasControl(text)) {
    return OkStatus();
  }
  return Bad(key, base::Quoted(text),
             fmt::format("1 to {} bytes of UTF-8 without control characters", kMaxNameBytes),
             "rename it");
}

template <typename Names>
Status CheckUnique(std::string_view key, const Names& names) {
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    CT_RETURN_IF_ERROR(CheckLabel(key, name));
    if (!seen.insert(name).second)
      return Bad(key, base::Quoted(name), "unique", "it is listed twice");
  }
  return OkStatus();
}

Status CheckNormalisation(const v1::DataTerms& data) {
  const int channels = static_cast<int>(data.input_shape(0));
  const auto count_fits = [&](int count) { return count == 1 || count == channels; };
  const std::string counts = fmt::format("one value or one for each of {} channels", channels);
  if (!count_fits(data.mean_nano_size())) {
    return Bad("data.mean", fmt::format("{} values", data.mean_nano_size()), counts,
               "channels are the first number of data.input-shape");
  }
  if (!count_fits(data.deviation_nano_size())) {
    return Bad("data.deviation", fmt::format("{} values", data.deviation_nano_size()), counts,
               "channels are the first number of data.input-shape");
  }
  for (const int64_t mean : data.mean_nano()) {
    if (mean < -kMaxMeanNano || mean > kMaxMeanNano) {
      return Bad("data.mean", Decimal(mean), "within ±1000000000", "check the unit");
    }
  }
  for (const uint64_t deviation : data.deviation_nano()) {
    CT_RETURN_IF_ERROR(CheckNano("data.deviation", deviation, 1, kMaxMeanNano,
                                 "features are divided by it; 1 leaves them as they are"));
  }
  return OkStatus();
}

Status CheckColumns(const v1::DataTerms& data, uint64_t features) {
  const auto& columns = data.csv_feature_columns();
  if (data.csv_label_column().empty()) {
    if (columns.empty()) return OkStatus();
    return Bad("data.csv-label-column", "\"\"", "set when data.csv-feature-columns is",
               "name the column that holds the label");
  }
  CT_RETURN_IF_ERROR(CheckLabel("data.csv-label-column", data.csv_label_column()));
  CT_RETURN_IF_ERROR(CheckUnique("data.csv-feature-columns", columns));
  if (std::find(columns.begin(), columns.end(), data.csv_label_column()) != columns.end()) {
    return Bad("data.csv-feature-columns", base::Quoted(data.csv_label_column()),
               "other than data.csv-label-column", "the label cannot be a feature");
  }
  if (static_cast<uint64_t>(columns.size()) != features) {
    return Bad("data.csv-feature-columns", fmt::format("{} columns", columns.size()),
               fmt::format("{} columns, as many as data.input-shape has values", features),
               "list the missing ones or mend the shape");
  }
  return OkStatus();
}

Status CheckData(const v1::DataTerms& data) {
  if (data.input_shape_size() < 1 ||
      static_cast<size_t>(data.input_shape_size()) > kMaxDimensions) {
    return Bad("data.input-shape", fmt::format("{} dimensions", data.input_shape_size()),
               fmt::format("1 to {} dimensions", kMaxDimensions),
               "give one example's shape without the batch, such as [1, 28, 28]");
  }
  uint64_t features = 1;
  for (const uint32_t dimension : data.input_shape()) {
    CT_RETURN_IF_ERROR(CheckRange("data.input-shape", dimension, 1, kMaxFeatures,
                                  "that is one of its dimensions"));
    features *= dimension;  // at most 2^24 times 2^24
    if (features > kMaxFeatures) {
      return Bad("data.input-shape", fmt::format("{} or more values", features),
                 fmt::format("at most {} values", kMaxFeatures), "use smaller examples");
    }
  }
  if (data.feature_type() != v1::U8 && data.feature_type() != v1::FLOAT32) {
    return Bad("data.feature-type", static_cast<int>(data.feature_type()), "u8 or float32",
               "u8 for bytes such as pixels, float32 for other numbers");
  }
  CT_RETURN_IF_ERROR(CheckNormalisation(data));
  if (data.classes_size() < 2 || static_cast<size_t>(data.classes_size()) > kMaxClasses) {
    return Bad("data.classes", fmt::format("{} names", data.classes_size()),
               fmt::format("2 to {} names", kMaxClasses),
               "name every class, in the order of labels");
  }
  CT_RETURN_IF_ERROR(CheckUnique("data.classes", data.classes()));
  return CheckColumns(data, features);
}

Status CheckLocal(const v1::LocalTerms& local) {
  if (local.optimizer() != v1::SGD && local.optimizer() != v1::ADAM) {
    return Bad("local.optimizer", static_cast<int>(local.optimizer()), "sgd or adam",
               "choose how teachers train");
  }
  CT_RETURN_IF_ERROR(CheckNano("local.learning-rate", local.learning_rate_nano(), 1, kMaxRateNano,
                               "0.05 is a usual start for sgd, 0.001 for adam"));
  if (local.optimizer() == v1::ADAM && local.momentum_nano() != 0) {
    return Bad("local.momentum", Decimal(local.momentum_nano()), "0 with adam",
               "leave it out, or choose sgd");
  }
  CT_RETURN_IF_ERROR(
      CheckNano("local.momentum", local.momentum_nano(), 0, kNano - 1, "0.9 is usual, 0 is none"));
  CT_RETURN_IF_ERROR(
      CheckNano("local.weight-decay", local.weight_decay_nano(), 0, kMaxRateNano, "0 is none"));
  CT_RETURN_IF_ERROR(CheckNano("local.fedprox-mu", local.fedprox_mu_nano(), 0, kMaxRateNano,
                               "0 is no proximal term"));
  CT_RETURN_IF_ERROR(
      CheckRange("local.batch-size", local.batch_size(), 1, kMaxBatch, "32 is usual"));
  if ((local.steps() == 0) == (local.epochs() == 0)) {
    return Bad("local.steps",
               fmt::format("{} with local.epochs = {}", local.steps(), local.epochs()),
               "set, or else local.epochs, and not both", "steps treats unequal teachers alike");
  }
  CT_RETURN_IF_ERROR(
      CheckRange("local.steps", local.steps(), 0, kMaxSteps, "use more rounds instead"));
  return CheckRange("local.epochs", local.epochs(), 0, kMaxEpochs, "use more rounds instead");
}

Status CheckDurations(const v1::Terms& terms) {
  constexpr std::string_view kRange = "1ms to 365d";
  const auto check = [&](std::string_view key, uint64_t ms, std::string_view mend) {
    if (ms >= 1 && ms <= kMaxDurationMs) return OkStatus();
    return Bad(key, fmt::format("{}ms", ms), kRange, mend);
  };
  CT_RETURN_IF_ERROR(check("commit", terms.commit_ms(), "training happens in it: \"10m\", say"));
  CT_RETURN_IF_ERROR(check("upload", terms.upload_ms(), "long enough for the slowest line"));
  CT_RETURN_IF_ERROR(check("close", terms.close_ms(), "the owner's time to close the campaign"));
  if (terms.dispute_ms() > kMaxDurationMs) {
    return Bad("dispute", fmt::format("{}ms", terms.dispute_ms()), "0 to 365d",
               "rewards are held so long");
  }
  if (terms.retention_ms() > kMaxDurationMs || terms.retention_ms() < terms.dispute_ms()) {
    return Bad("retention", fmt::format("{}ms", terms.retention_ms()),
               fmt::format("{}ms (dispute) to 365d", terms.dispute_ms()),
               "evidence must outlive the dispute window");
  }
  return OkStatus();
}

Status CheckParticipation(const v1::Terms& terms) {
  CT_RETURN_IF_ERROR(CheckRange("rounds", terms.rounds(), 1, kMaxRounds, "10 is a good start"));
  CT_RETURN_IF_ERROR(
      CheckRange("teachers", terms.teachers(), 1, kMaxTeachers, "so many are selected in a round"));
  CT_RETURN_IF_ERROR(CheckRange("quorum", terms.quorum(), 1, terms.teachers(),
                                "it counts among the selected teachers"));
  CT_RETURN_IF_ERROR(CheckDurations(terms));
  CT_RETURN_IF_ERROR(CheckRange("max-aborts", terms.max_aborts(), 1, kMaxAborts,
                                "so many aborted rounds in a row end the campaign"));
  if (terms.weighting() != v1::EQUAL && terms.weighting() != v1::EXAMPLES) {
    return Bad("weighting", static_cast<int>(terms.weighting()), "equal or examples",
               "choose how updates are weighted");
  }
  // Then sum(m_i) < 2^32, and no sum of m_i * int32 leaves int64.
  return CheckRange("max-examples", terms.max_examples(), 1,
                    std::numeric_limits<uint32_t>::max() / terms.teachers(),
                    "times teachers it must stay below 2^32");
}

Status CheckUpdate(const v1::Terms& terms) {
  CT_RETURN_IF_ERROR(CheckRange("scale-bits", terms.scale_bits(), kMinScaleBits, kMaxScaleBits,
                                "24 is the default"));
  if (terms.norm_cap() < 1 || terms.norm_cap() > kMaxNormCap) {
    return Bad("norm-cap", fmt::format("{}·2^-{}", terms.norm_cap(), terms.scale_bits()),
               fmt::format("1 to {} of these units", kMaxNormCap),
               "some times the norm of an honest update");
  }
  if (terms.norm_rule() != v1::CLIP && terms.norm_rule() != v1::REJECT) {
    return Bad("norm-rule", static_cast<int>(terms.norm_rule()), "clip or reject",
               "say what happens over norm-cap");
  }
  return OkStatus();
}

Status CheckMoney(const v1::Terms& terms) {
  if (terms.scorer() != v1::AUMANN_SHAPLEY) {
    return Bad("scorer", static_cast<int>(terms.scorer()), "aumann-shapley",
               "the market rule pays in nats that add up to the improvement");
  }
  if (terms.reward() != v1::MARKET) {
    return Bad("reward", static_cast<int>(terms.reward()), "market", "no other rule exists yet");
  }
  CT_RETURN_IF_ERROR(
      CheckRange("budget", terms.budget(), 1, kMaxCredits, "credits for all rounds"));
  CT_RETURN_IF_ERROR(CheckRange("credits-per-nat", terms.credits_per_nat(), 1, kMaxCredits,
                                "the price of one nat of validation loss"));
  CT_RETURN_IF_ERROR(
      CheckRange("stake", terms.stake(), 1, kMaxCredits, "a teacher's harm is charged to it"));
  return CheckRange("min-cover", terms.min_cover(), 1, terms.stake(),
                    "a fresh teacher has only its stake, and must be able to take part");
}

Status CheckReaders(std::string_view key, v1::Readers readers) {
  if (readers == v1::AUDITORS || readers == v1::ENROLLED || readers == v1::PUBLIC) {
    return OkStatus();
  }
  return Bad(key, static_cast<int>(readers), "auditors, enrolled or public", "auditors is default");
}

Status CheckDigest(std::string_view key, const std::string& digest) {
  if (digest.size() == 32) return OkStatus();
  return Bad(key, fmt::format("{} bytes", digest.size()), "32 bytes", "it is a SHA-256 digest");
}

}  // namespace

Status ValidateTerms(const v1::Terms& terms) {
  const std::string& name = terms.name();
  if (name.empty() || name.size() > 80 ||
      !std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c <= 0x7E; })) {
    return Bad("name", base::Quoted(name), "1 to 80 printable ASCII characters",
               "rename the campaign");
  }
  if (terms.model_toml().empty() || terms.model_toml().size() > kMaxModelTomlBytes) {
    return Bad("model", fmt::format("{} bytes", terms.model_toml().size()),
               fmt::format("1 to {} bytes", kMaxModelTomlBytes), "it is recorded in the log");
  }
  if (!IsUtf8(terms.model_toml())) {
    return Bad("model", "bytes that are not UTF-8", "UTF-8 text", "save the model file as UTF-8");
  }
  CT_RETURN_IF_ERROR(CheckParticipation(terms));
  CT_RETURN_IF_ERROR(CheckData(terms.data()));
  CT_RETURN_IF_ERROR(CheckLocal(terms.local()));
  CT_RETURN_IF_ERROR(CheckUpdate(terms));
  CT_RETURN_IF_ERROR(CheckMoney(terms));
  CT_RETURN_IF_ERROR(CheckReaders("update-readers", terms.update_readers()));
  CT_RETURN_IF_ERROR(CheckReaders("validation-readers", terms.validation_readers()));
  if (terms.ByteSizeLong() > kMaxTermsBytes) {
    return Bad("model", fmt::format("terms of {} bytes in all", terms.ByteSizeLong()),
               fmt::format("terms of at most {} bytes", kMaxTermsBytes),
               "shorten the model or the names of classes and columns");
  }
  return OkStatus();
}

uint64_t LeastBudget(uint64_t credits_per_nat, uint64_t loss_q32) {
  const auto product = static_cast<unsigned __int128>(credits_per_nat) * loss_q32;
  const unsigned __int128 credits = (product + 0xFFFFFFFFu) >> 32;
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  return credits > kMost ? kMost : static_cast<uint64_t>(credits);
}

Status ValidateOpen(const v1::CampaignOpen& open) {
  const v1::Terms& terms = open.terms();
  CT_RETURN_IF_ERROR(ValidateTerms(terms));
  CT_RETURN_IF_ERROR(CheckDigest("model-digest", open.model_digest()));
  CT_RETURN_IF_ERROR(CheckDigest("validation-root", open.validation_root()));
  CT_RETURN_IF_ERROR(CheckDigest("validation-digest", open.validation_digest()));
  CT_RETURN_IF_ERROR(CheckRange("parameters", open.parameters(), 1, kMaxParameters,
                                "these are the model's trainable ones"));
  CT_RETURN_IF_ERROR(CheckRange("model-size-bytes", open.model_size_bytes(), 4 * open.parameters(),
                                kMaxModelBytes, "a parameter has 4 bytes"));
  CT_RETURN_IF_ERROR(CheckRange("validation-count", open.validation_count(), 1, kMaxValidationCount,
                                "examples in the validation set"));
  CT_RETURN_IF_ERROR(CheckRange("correct", open.correct(), 0, open.validation_count(),
                                "it counts among the validation examples"));
  CT_RETURN_IF_ERROR(CheckRange("loss-q32", open.loss_q32(), 0, kMaxLossQ32 - 1,
                                "the first weights' loss must be below 2^20 nats"));
  const uint64_t least = LeastBudget(terms.credits_per_nat(), open.loss_q32());
  if (terms.budget() < least) {
    return Bad("budget", terms.budget(), fmt::format("at least {}", least),
               fmt::format("the first loss is {}.{:03} nats at credits-per-nat = {}: raise budget, "
                           "or lower credits-per-nat",
                           open.loss_q32() >> 32, ((open.loss_q32() & 0xFFFFFFFFu) * 1000) >> 32,
                           terms.credits_per_nat()));
  }
  return OkStatus();
}

}  // namespace crowdteach::ledger
