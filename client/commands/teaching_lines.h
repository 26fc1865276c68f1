// What a teacher sees: progress bars on a terminal; in a log plain lines, and of long work one in
// half a minute.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "client/teaching.h"
#include "crowdteach/v1/ledger.pb.h"

namespace crowdteach::client {

class TeachingLines : public TeachingObserver {
 public:
  // `balance`: how much of the campaign's credits is ours, in words, asked for when a round has
  // settled.
  TeachingLines(const v1::Terms& terms, std::function<std::string()> balance);

  void Waiting(uint32_t next_round) override;
  void Training(uint32_t round, uint64_t batch, uint64_t batches, double loss_nats) override;
  void Trained(uint32_t round, const UpdateInfo& info) override;
  void Committed(uint32_t round, uint64_t index) override;
  void Uploading(uint32_t round, uint64_t done_bytes, uint64_t total_bytes) override;
  void Revealed(uint32_t round, uint64_t index) override;
  void Settled(uint32_t round, const v1::Score& score, const v1::ScoreLine* ours) override;
  void Aborted(uint32_t round, v1::AbortReason reason) override;
  void Rejected(uint32_t round, v1::RejectReason reason) override;
  void Phase(const std::string& what) override;
  void Leaving(uint32_t round, bool uploading, std::chrono::seconds wait) override;
  void Trouble(const Status& status, uint64_t retry_in_ms) override;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  void Line(const std::string& text);      // stays
  void Stage(const std::string& text);     // is overwritten on a terminal
  void Progress(const std::string& text);  // the same, but now and then only
  void Draw(const std::string& text);

  const v1::Terms terms_;
  const std::function<std::string()> balance_;
  const bool live_;
  std::mutex mutex_;  // Leaving comes from another thread
  SteadyTime drawn_{};
};

}  // namespace crowdteach::client
