#include "client/commands/teaching_lines.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "learning/fixed_point.h"
#include "ledger/reward.h"

namespace crowdteach::client {
namespace {

constexpr int kBarWidth = 20;

std::string Bar(uint64_t done, uint64_t total) {
  const int full = total == 0 ? 0 : static_cast<int>(done * kBarWidth / total);
  std::string bar = "[";
  for (int i = 0; i < kBarWidth; ++i) bar += i < full ? '#' : '.';
  return bar + "]";
}

std::string Words(std::string name) {
  for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(c | 0x20);
  return name;
}

std::string AbortWords(v1::AbortReason reason) {
  switch (reason) {
    case v1::COMMIT_QUORUM:
      return "too few teachers committed in time";
    case v1::REVEAL_QUORUM:
      return "too few updates arrived in time";
    case v1::COVER_QUORUM:
      return "too few teachers were left whose stake covers their charge";
    case v1::NOT_FINITE:
      return "the loss was not a number";
    case v1::SCORE_RANGE:
      return "a score was out of range";
    case v1::WORKER_FAILED:
      return "the coordinator's worker failed";
    default:
      return Words(v1::AbortReason_Name(reason));
  }
}

}  // namespace

TeachingLines::TeachingLines(const v1::Terms& terms)
    : terms_(terms), terminal_(isatty(STDOUT_FILENO) != 0) {}

void TeachingLines::Line(const std::string& text) {
  fmt::print("{}{}\n", terminal_ ? "\r\x1b[K" : "", text);
  std::fflush(stdout);
}

void TeachingLines::Progress(const std::string& text) {
  if (!terminal_) return;
  fmt::print("\r\x1b[K{}", text);
  std::fflush(stdout);
}

void TeachingLines::Waiting(uint32_t next_round) {
  Progress(fmt::format("waiting for round {}", next_round));
}

void TeachingLines::Training(uint32_t round, uint64_t batch, uint64_t batches, double loss_nats) {
  Progress(fmt::format("round {:>3}  train  {} {}/{}  loss {:.4f}", round, Bar(batch, batches),
                       batch, batches, loss_nats));
}

void TeachingLines::Trained(uint32_t round, const UpdateInfo& info) {
  std::string text = fmt::format("round {:>3}  trained on {} examples, mean loss {:.4f}", round,
                                 info.examples, info.mean_loss_nats);
  if (info.saturated != 0) text += fmt::format("; {} coordinates out of range", info.saturated);
  Line(text);
}

void TeachingLines::Committed(uint32_t round, uint64_t index) {
  Progress(fmt::format("round {:>3}  committed (entry {}); waiting for the others", round, index));
}

void TeachingLines::Uploading(uint32_t round, uint64_t done_bytes, uint64_t total_bytes) {
  Progress(fmt::format("round {:>3}  upload {} {:.1f} of {:.1f} MB", round,
                       Bar(done_bytes, total_bytes), static_cast<double>(done_bytes) * 1e-6,
                       static_cast<double>(total_bytes) * 1e-6));
}

void TeachingLines::Revealed(uint32_t round, uint64_t index) {
  Progress(fmt::format("round {:>3}  revealed (entry {}); being scored", round, index));
}

void TeachingLines::Settled(uint32_t round, const v1::Score& score, const v1::ScoreLine* ours) {
  const std::string model = fmt::format(
      "loss {:.4f}, {} right", learning::FromQ32(static_cast<int64_t>(score.loss_after_q32())),
      score.correct_after());
  if (ours == nullptr)
    return Line(fmt::format("round {:>3}  settled without us; {}", round, model));
  const double phi = learning::FromQ32(ours->phi_q32());
  const ledger::Int128 reward = ledger::Reward(terms_.credits_per_nat(), ours->phi_q32());
  Line(fmt::format("round {:>3}  score {:+.6f} ± {:.6f} nats, {:+} credits; {}", round, phi,
                   learning::FromQ32(static_cast<int64_t>(ours->stderr_q32())),
                   static_cast<int64_t>(reward), model));
}

void TeachingLines::Aborted(uint32_t round, v1::AbortReason reason) {
  const std::string why = AbortWords(reason);
  Line(fmt::format("round {:>3}  aborted: {}; nobody is paid or charged for it", round, why));
}

void TeachingLines::Rejected(uint32_t round, v1::RejectReason reason) {
  Line(fmt::format("round {:>3}  our update was rejected: {}", round,
                   Words(v1::RejectReason_Name(reason))));
}

void TeachingLines::Phase(const std::string& what) { Line(what); }

void TeachingLines::Trouble(const Status& status, uint64_t retry_in_ms) {
  Line(retry_in_ms == 0 ? Message(status)
                        : fmt::format("{}; trying again in {:.1f} s", Message(status),
                                      static_cast<double>(retry_in_ms) * 1e-3));
}

}  // namespace crowdteach::client
