// Where things stand in the log: a fold over entries that finds receipts without searching.
//
// Fed every entry in order, at the start from the store and then as it is committed. Not
// thread-safe: guarded by the coordinator's lock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/entry.h"
#include "proto/base/digest.h"

namespace crowdteach::server {

// Log indices of a campaign's latest milestones; 0 is none (entry 0 is GENESIS).
struct CampaignMarks {
  uint64_t round_open = 0;
  uint64_t commit_close = 0;
  uint64_t score = 0;
  uint64_t settle = 0;
  uint64_t abort = 0;
  uint64_t close = 0;
  uint64_t refund = 0;
  std::map<uint64_t, uint64_t> rejects;  // of the latest round: account → UPDATE_REJECT
  // After each settled round: loss, correct answers.
  struct Point {
    uint32_t round = 0;
    uint64_t loss_q32 = 0;
    uint64_t correct = 0;
  };
  std::vector<Point> history;
  std::map<uint64_t, int64_t> last_scores;  // account → phi of the last settled round
  uint64_t scored_loss_q32 = 0;             // of the last SCORE, until it settles
  uint64_t scored_correct = 0;
  std::map<uint64_t, int64_t> scored;
};

// What a blob is to a campaign.
struct BlobUse {
  uint64_t campaign = 0;
  base::BlobKind kind = base::BlobKind::kData;
};

// The digests of the blobs that an intent names and that others than the coordinator upload.
std::vector<std::string> ForeignBlobsOf(const v1::Intent& intent);

class Marks {
 public:
  void Take(const ledger::LoggedEntry& logged);

  std::vector<base::Hash> Blobs() const;  // every one that a campaign names
  // Every campaign that names this blob, in log order.
  std::vector<BlobUse> UsesOf(const base::Hash& digest) const;

  // The entry that consumed this sequence number of the account.
  std::optional<uint64_t> IndexOf(uint64_t account, uint64_t sequence) const;
  // The entries that concern an account, ascending (v1::ListEntriesReply).
  const std::vector<uint64_t>& EntriesOf(uint64_t account) const;
  const CampaignMarks& Campaign(uint64_t campaign) const;

 private:
  void TakeRound(const v1::Intent& intent, uint64_t index);
  void TakeConcerned(const ledger::LoggedEntry& logged);
  void TakeBlobs(const v1::Intent& intent, uint64_t index);
  void TakeBlob(std::string_view digest, uint64_t campaign, base::BlobKind kind);

  // Sequences are consecutive from 1, so position sequence − 1.
  std::unordered_map<uint64_t, std::vector<uint64_t>> sequences_;
  std::unordered_map<uint64_t, std::vector<uint64_t>> entries_;  // by account
  std::map<uint64_t, CampaignMarks> campaigns_;
  std::map<base::Hash, std::vector<BlobUse>> blobs_;
};

}  // namespace crowdteach::server
