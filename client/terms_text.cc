#include "client/terms_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <string_view>

#include "learning/fixed_point.h"
#include "learning/model/model_spec.h"
#include "ledger/canonical.h"
#include "ledger/words.h"
#include "proto/base/bytes.h"
#include "proto/base/duration.h"

namespace crowdteach::client {
namespace {

std::string Nano(uint64_t nano) { return fmt::format("{:g}", static_cast<double>(nano) * 1e-9); }

std::string LocalText(const v1::LocalTerms& local) {
  std::string text = local.optimizer() == v1::ADAM ? "Adam" : "SGD";
  text += ", learning rate " + Nano(local.learning_rate_nano());
  if (local.momentum_nano() != 0) text += ", momentum " + Nano(local.momentum_nano());
  if (local.weight_decay_nano() != 0) text += ", weight decay " + Nano(local.weight_decay_nano());
  if (local.fedprox_mu_nano() != 0) text += ", FedProx mu " + Nano(local.fedprox_mu_nano());
  text += fmt::format(", batches of {}", local.batch_size());
  text += local.steps() != 0
              ? fmt::format(", {} steps a round", local.steps())
              : fmt::format(", {} epoch{} a round", local.epochs(), local.epochs() == 1 ? "" : "s");
  return text;
}

// Other people's names, so many of them that a line holds.
template <typename Names>
std::string List(const Names& names, int most) {
  std::string list;
  for (int i = 0; i < names.size() && i < most; ++i) {
    list += fmt::format("{}{}", i == 0 ? "" : ", ", base::Quoted(names[i]));
  }
  if (names.size() > most) list += fmt::format(", … ({} in all)", names.size());
  return list;
}

std::string DataText(const v1::DataTerms& data) {
  return fmt::format("[{}] {}; classes {}", fmt::join(data.input_shape(), ", "),
                     data.feature_type() == v1::U8 ? "bytes" : "numbers", List(data.classes(), 12));
}

std::string TableText(const v1::DataTerms& data) {
  return fmt::format("label in column {}, features in {}", base::Quoted(data.csv_label_column()),
                     List(data.csv_feature_columns(), 12));
}

void Row(std::string* text, std::string_view name, std::string_view value) {
  *text += fmt::format("  {:<18} {}\n", name, value);
}

}  // namespace

base::Hash TermsHash(const v1::Terms& terms) { return base::Sha256Of(ledger::Encode(terms)); }

std::string TermsText(const v1::CampaignOpen& open) {
  const v1::Terms& terms = open.terms();
  const double first_loss = learning::FromQ32(static_cast<int64_t>(open.loss_q32()));
  std::string text;
  Row(&text, "campaign", terms.name());
  Row(&text, "terms", base::Hex(TermsHash(terms)));
  Row(&text, "model",
      fmt::format("{} trainable parameters, first loss {:.4f} nats on {} examples",
                  open.parameters(), first_loss, open.validation_count()));
  if (const auto code = learning::ModelCodeOf(terms.model_toml())) {
    Row(&text, "model code",
        fmt::format("TorchScript, {} bytes, {}…; a program by the owner, run in the sandbox only",
                    code->size_bytes, base::Hex(code->digest).substr(0, 16)));
  }
  Row(&text, "data", DataText(terms.data()));
  if (!terms.data().csv_label_column().empty()) Row(&text, "tables", TableText(terms.data()));
  Row(&text, "local training", LocalText(terms.local()));
  Row(&text, "rounds",
      fmt::format("{}, {} teachers in each, at least {}", terms.rounds(), terms.teachers(),
                  terms.quorum()));
  Row(&text, "time a round",
      fmt::format("{} to train and commit, {} to upload", base::FormatDuration(terms.commit_ms()),
                  base::FormatDuration(terms.upload_ms())));
  Row(&text, "norm cap",
      fmt::format(
          "{:g} in L2 norm; a longer update is {}",
          std::ldexp(static_cast<double>(terms.norm_cap()), -static_cast<int>(terms.scale_bits())),
          terms.norm_rule() == v1::REJECT ? "rejected" : "shortened to it"));
  if (terms.open_commitments()) Row(&text, "commitments", "open: updates are sent unsealed");
  Row(&text, "pay",
      fmt::format("{} credits for each nat the validation loss falls by your part "
                  "(budget {})",
                  terms.credits_per_nat(), terms.budget()));
  Row(&text, "your stake",
      fmt::format("{} credits; what your updates raise the loss is charged, and with less than {} "
                  "left you sit out",
                  terms.stake(), terms.min_cover()));
  Row(&text, "paid out",
      fmt::format("{} after the campaign is closed",
                  terms.dispute_ms() == 0 ? std::string("at once")
                                          : base::FormatDuration(terms.dispute_ms())));
  Row(&text, "your updates",
      fmt::format("may be read by {}; kept until {}", ledger::InWords(terms.update_readers()),
                  terms.retention_ms() == 0
                      ? std::string("the close at least")
                      : base::FormatDuration(terms.retention_ms()) + " after it at least"));
  Row(&text, "validation set",
      fmt::format("secret until close, then for {}", ledger::InWords(terms.validation_readers())));
  return text;
}

}  // namespace crowdteach::client
