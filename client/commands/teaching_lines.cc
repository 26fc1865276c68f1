#include "client/commands/teaching_lines.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "proto/cli/terminal.h"

namespace crowdteach::client {
namespace {

constexpr int kBarWidth = 20;
// Between two pictures of the same work: on a terminal, in a log.
constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kLogLine{30};

}  // namespace

TeachingLines::TeachingLines(std::function<std::string(uint64_t campaign)> balance,
                             bool show_epochs)
    : balance_(std::move(balance)), show_epochs_(show_epochs), live_(cli::IsLive()) {}

void TeachingLines::Line(const std::string& text) {
  const std::lock_guard lock(mutex_);
  cli::Print((live_ ? "\r\x1b[K" : "") + text + "\n");
  drawn_ = {};
}

void TeachingLines::Draw(const std::string& text) {
  // One column less: a full line makes some terminals begin the next.
  cli::Print(live_ ? "\r\x1b[K" + cli::Fit(text, cli::Columns() - 1) : text + "\n");
  drawn_ = std::chrono::steady_clock::now();
}

void TeachingLines::Stage(const std::string& text) {
  const std::lock_guard lock(mutex_);
  Draw(text);
}

void TeachingLines::Progress(const std::string& text) {
  const std::lock_guard lock(mutex_);
  const auto since = std::chrono::steady_clock::now() - drawn_;
  if (drawn_ != SteadyTime{} && since < (live_ ? SteadyTime::duration(kRedraw) : kLogLine)) return;
  if (live_ || drawn_ != SteadyTime{}) return Draw(text);
  drawn_ = std::chrono::steady_clock::now();  // a log gets no line of work that is soon done
}

void TeachingLines::Waiting(uint32_t next_round) {
  Progress(fmt::format("waiting for round {}", next_round));
}

void TeachingLines::WaitingForCampaign() { Line("no campaign is running yet; waiting for one"); }

void TeachingLines::Enrolled(uint64_t campaign, uint64_t ledger_entry) {
  Line(fmt::format("enrolled: ledger entry {}", ledger_entry));
}

void TeachingLines::Teaching(const Campaign& campaign, uint64_t examples, uint64_t account) {
  campaign_ = campaign.number;
  epochs_ = show_epochs_ ? campaign.terms.local.epochs : 0;
  Line(fmt::format("teaching campaign {} with {} examples as account {}", campaign.number, examples,
                   account));
}

void TeachingLines::Training(uint32_t round, uint64_t done, uint64_t total, double loss_nats) {
  std::string text =
      fmt::format("round {:>3}  train  {} ", round, cli::Bar(done, total, kBarWidth));
  if (epochs_ > 1 && total != 0) {
    text += fmt::format("epoch {}/{}  ", std::min(epochs_, done * epochs_ / total + 1), epochs_);
  }
  text += fmt::format("{}/{}", done, total);
  if (!std::isnan(loss_nats)) text += fmt::format("  loss {:.4f}", loss_nats);
  Progress(text);
}

void TeachingLines::Said(uint32_t round, std::string_view line) {
  Line(fmt::format("round {:>3}  | {}", round, line));
}

void TeachingLines::Trained(uint32_t round, const UpdateSummary& summary) {
  std::string text = fmt::format("round {:>3}  trained", round);
  if (summary.examples != 0) text += fmt::format(" on {} examples", summary.examples);
  if (!std::isnan(summary.mean_loss_nats)) {
    text += fmt::format(", mean loss {:.4f}", summary.mean_loss_nats);
  }
  if (summary.out_of_range != 0) {
    text += fmt::format("; {} coordinates out of range", summary.out_of_range);
  }
  Line(text);
}

void TeachingLines::Failed(uint32_t round, const Status& status) {
  Line(fmt::format("round {:>3}  sat out: {}", round, Message(status)));
}

void TeachingLines::Committed(uint32_t round, uint64_t index) {
  Stage(fmt::format("round {:>3}  committed (entry {}); waiting for the others", round, index));
}

void TeachingLines::Uploading(uint32_t round, uint64_t done_bytes, uint64_t total_bytes) {
  Progress(fmt::format("round {:>3}  upload {} {:.1f} of {:.1f} MB", round,
                       cli::Bar(done_bytes, total_bytes, kBarWidth),
                       static_cast<double>(done_bytes) * 1e-6,
                       static_cast<double>(total_bytes) * 1e-6));
}

void TeachingLines::Revealed(uint32_t round, uint64_t index) {
  Stage(fmt::format("round {:>3}  revealed (entry {}); being scored", round, index));
}

void TeachingLines::Settled(const Settlement& settlement) {
  const uint32_t round = settlement.round;
  const std::string model =
      fmt::format("loss {:.4f}, {} right", settlement.loss_nats, settlement.correct);
  if (!settlement.ours.has_value()) {
    return Line(fmt::format("round {:>3}  settled without us; {}", round, model));
  }
  Line(fmt::format("round {:>3}  score {:+.6f} ± {:.6f} nats, {:+} credits{}; {}", round,
                   settlement.ours->score_nats, settlement.ours->standard_error_nats,
                   settlement.ours->credits, balance_(campaign_), model));
}

void TeachingLines::Aborted(uint32_t round, std::string_view why) {
  Line(fmt::format("round {:>3}  aborted: {}; nobody is paid for it{}", round, why,
                   balance_(campaign_)));
}

void TeachingLines::Rejected(uint32_t round, std::string_view why) {
  Line(fmt::format("round {:>3}  our update was rejected: {}", round, why));
}

void TeachingLines::Phase(std::string_view what) { Line(std::string(what)); }

void TeachingLines::Leaving(uint32_t round, bool uploading, std::chrono::seconds wait) {
  Line(uploading ? fmt::format("finishing the upload of round {}; Ctrl-C again stops now", round)
                 : fmt::format("leaving once the update of round {} is delivered, in {} s at most; "
                               "Ctrl-C again stops now",
                               round, wait.count()));
}

void TeachingLines::Trouble(const Status& status, uint64_t retry_in_ms) {
  Line(retry_in_ms == 0 ? Message(status)
                        : fmt::format("{}; trying again in {:.1f} s", Message(status),
                                      static_cast<double>(retry_in_ms) * 1e-3));
}

}  // namespace crowdteach::client
