#include "client/commands/teaching_lines.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "learning/fixed_point.h"
#include "ledger/reward.h"
#include "proto/cli/terminal.h"

namespace crowdteach::client {
namespace {

constexpr int kBarWidth = 20;
// Between two pictures of the same work: on a terminal, in a log.
constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kLogLine{30};

std::string Words(std::string name) {
  for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(c | 0x20);
  return name;
}

}  // namespace

TeachingLines::TeachingLines(const v1::Terms& terms, std::function<std::string()> balance)
    : terms_(terms), balance_(std::move(balance)), live_(cli::IsLive()) {}

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

void TeachingLines::Training(uint32_t round, uint64_t batch, uint64_t batches, double loss_nats) {
  const uint64_t epochs = terms_.local().epochs();
  const std::string epoch =
      epochs < 2 || batches == 0
          ? ""
          : fmt::format("epoch {}/{}  ", std::min(epochs, batch * epochs / batches + 1), epochs);
  Progress(fmt::format("round {:>3}  train  {} {}{}/{}  loss {:.4f}", round,
                       cli::Bar(batch, batches, kBarWidth), epoch, batch, batches, loss_nats));
}

void TeachingLines::Trained(uint32_t round, const UpdateInfo& info) {
  std::string text = fmt::format("round {:>3}  trained on {} examples, mean loss {:.4f}", round,
                                 info.examples, info.mean_loss_nats);
  if (info.saturated != 0) text += fmt::format("; {} coordinates out of range", info.saturated);
  Line(text);
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

void TeachingLines::Settled(uint32_t round, const v1::Score& score, const v1::ScoreLine* ours) {
  const std::string model = fmt::format(
      "loss {:.4f}, {} right", learning::FromQ32(static_cast<int64_t>(score.loss_after_q32())),
      score.correct_after());
  if (ours == nullptr)
    return Line(fmt::format("round {:>3}  settled without us; {}", round, model));
  const double phi = learning::FromQ32(ours->phi_q32());
  const ledger::Int128 reward = ledger::Reward(terms_.credits_per_nat(), ours->phi_q32());
  Line(fmt::format("round {:>3}  score {:+.6f} ± {:.6f} nats, {:+} credits{}; {}", round, phi,
                   learning::FromQ32(static_cast<int64_t>(ours->stderr_q32())),
                   static_cast<int64_t>(reward), balance_(), model));
}

void TeachingLines::Aborted(uint32_t round, v1::AbortReason reason) {
  Line(fmt::format("round {:>3}  aborted: {}", round, Words(v1::AbortReason_Name(reason))));
}

void TeachingLines::Rejected(uint32_t round, v1::RejectReason reason) {
  Line(fmt::format("round {:>3}  our update was rejected: {}", round,
                   Words(v1::RejectReason_Name(reason))));
}

void TeachingLines::Phase(const std::string& what) { Line(what); }

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
