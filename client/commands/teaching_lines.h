// What a teacher sees: progress bars on a terminal; in a log plain lines, and of long work one in
// half a minute.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "client/teacher.h"
#include "proto/base/status.h"

namespace crowdteach::client {

class TeachingLines : public Observer {
 public:
  // `balance`: how much of a campaign's credits is ours, in words, asked for when a round has
  // settled. `show_epochs`: the trainer's steps are the batches of the terms' epochs.
  TeachingLines(std::function<std::string(uint64_t campaign)> balance, bool show_epochs);

  void WaitingForCampaign() override;
  void Enrolled(uint64_t campaign, uint64_t ledger_entry) override;
  void Teaching(const Campaign& campaign, uint64_t examples, uint64_t account) override;
  void Waiting(uint32_t next_round) override;
  void Training(uint32_t round, uint64_t done, uint64_t total, double loss_nats) override;
  void Said(uint32_t round, std::string_view line) override;
  void Trained(uint32_t round, const UpdateSummary& summary) override;
  void Failed(uint32_t round, const Status& status) override;
  void Committed(uint32_t round, uint64_t ledger_entry) override;
  void Uploading(uint32_t round, uint64_t done_bytes, uint64_t total_bytes) override;
  void Revealed(uint32_t round, uint64_t ledger_entry) override;
  void Settled(const Settlement& settlement) override;
  void Aborted(uint32_t round, std::string_view why) override;
  void Rejected(uint32_t round, std::string_view why) override;
  void Phase(std::string_view what) override;
  void Leaving(uint32_t round, bool uploading, std::chrono::seconds wait) override;
  void Trouble(const Status& status, uint64_t retry_in_ms) override;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  void Line(const std::string& text);      // stays
  void Stage(const std::string& text);     // is overwritten on a terminal
  void Progress(const std::string& text);  // the same, but now and then only
  void Draw(const std::string& text);

  const std::function<std::string(uint64_t campaign)> balance_;
  const bool show_epochs_;
  const bool live_;
  uint64_t campaign_ = 0;
  uint64_t epochs_ = 0;
  std::mutex mutex_;  // Leaving comes from another thread
  SteadyTime drawn_{};
};

}  // namespace crowdteach::client
