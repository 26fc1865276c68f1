// A teacher's part in a campaign, from the first task to the refund.
//
//   TASK -> base model -> train -> update -> UPDATE_COMMIT
//   COMMIT_CLOSED (verified: our commitment and the close are in the tree) -> upload ->
//   UPDATE_REVEAL
//
// Not one byte of an update leaves before the closed commit phase was verified. What was committed
// to is durable in the home, so a killed teacher goes on where it was. Lost connections come back
// with backoff; only refusals and local errors end it.
//
// A stop ends training at once. What was committed to is still uploaded and revealed when its
// upload phase is open or opens within a minute; it may be gone for good otherwise, as the round
// does not wait. Nothing else is waited for: scores and receipts are fetched the next time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "client/home.h"
#include "client/session.h"
#include "client/trainer.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// What a person is told, on the thread that runs Teach unless said otherwise.
class TeachingObserver {
 public:
  virtual ~TeachingObserver() = default;
  virtual void Waiting(uint32_t next_round) = 0;
  virtual void Training(uint32_t round, uint64_t batch, uint64_t batches, double loss_nats) = 0;
  virtual void Trained(uint32_t round, const UpdateInfo& info) = 0;
  virtual void Committed(uint32_t round, uint64_t index) = 0;
  virtual void Uploading(uint32_t round, uint64_t done_bytes, uint64_t total_bytes) = 0;
  virtual void Revealed(uint32_t round, uint64_t index) = 0;
  // Our line of the round's SCORE; null if we had no part in it.
  virtual void Settled(uint32_t round, const v1::Score& score, const v1::ScoreLine* ours) = 0;
  virtual void Aborted(uint32_t round, v1::AbortReason reason) = 0;
  virtual void Rejected(uint32_t round, v1::RejectReason reason) = 0;
  virtual void Phase(const std::string& what) = 0;  // the campaign ended, closed, is refunded
  // A stop was requested and the update of `round` is still owed: it is `uploading`, or its upload
  // phase is waited for, `wait` at most. Called on the thread that requested it.
  virtual void Leaving(uint32_t round, bool uploading, std::chrono::seconds wait) = 0;
  virtual void Trouble(const Status& status, uint64_t retry_in_ms) = 0;
};

struct TeachingOptions {
  SessionOptions session;
  uint64_t campaign = 0;
  uint64_t seed = 0;         // with campaign, round and account, of the local training
  bool until_refund = true;  // else Teach returns when there are no further rounds
};

// Returns OK at the campaign's end; kCancelled after `stop`, the message saying whether something
// is owed; otherwise the error that ended it.
Status Teach(Home* home, const TeachingOptions& options, const v1::CampaignOpen& open,
             LocalTrainer* trainer, TeachingObserver* observer, const std::stop_token& stop);

}  // namespace crowdteach::client
