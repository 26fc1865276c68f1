// What a teacher sees: a progress line on a terminal, plain lines in a log.
#pragma once

#include <string>

#include "client/teaching.h"
#include "crowdteach/v1/ledger.pb.h"

namespace crowdteach::client {

class TeachingLines : public TeachingObserver {
 public:
  explicit TeachingLines(const v1::Terms& terms);

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
  void Trouble(const Status& status, uint64_t retry_in_ms) override;

 private:
  void Line(const std::string& text);      // stays
  void Progress(const std::string& text);  // is overwritten; nothing in a log

  const v1::Terms terms_;
  const bool terminal_;
};

}  // namespace crowdteach::client
