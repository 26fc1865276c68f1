// What a teacher sees: a progress line on a terminal, plain lines in a log.
#pragma once

#include <string>
#include <string_view>

#include "client/teacher.h"
#include "proto/base/status.h"

namespace crowdteach::client {

class TeachingLines : public Observer {
 public:
  TeachingLines();

  void WaitingForCampaign() override;
  void Enrolled(uint64_t campaign, uint64_t ledger_entry) override;
  void Teaching(uint64_t campaign, uint64_t examples, uint64_t account) override;
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
  void Trouble(const Status& status, uint64_t retry_in_ms) override;

 private:
  void Line(const std::string& text);      // stays
  void Progress(const std::string& text);  // is overwritten; nothing in a log

  const bool terminal_;
};

}  // namespace crowdteach::client
