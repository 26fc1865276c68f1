#include "ledger/round.h"

#include <algorithm>
#include <map>

#include "proto/base/assert.h"

namespace crowdteach::ledger {
namespace {

bool IsRejected(const Seat& seat) { return seat.rejected != v1::REJECT_REASON_UNSPECIFIED; }
bool IsIncluded(const Seat& seat) { return seat.update.has_value() && !IsRejected(seat); }

}  // namespace

uint64_t CommitDeadlineMs(const CampaignState& campaign) {
  return campaign.round.opened_ms + campaign.open.terms().commit_ms();
}

uint64_t UploadDeadlineMs(const CampaignState& campaign) {
  return campaign.round.commit_closed_ms + campaign.open.terms().upload_ms();
}

size_t Commitments(const RoundState& round) {
  return static_cast<size_t>(
      std::count_if(round.seats.begin(), round.seats.end(),
                    [](const auto& seat) { return seat.second.commitment.has_value(); }));
}

bool EveryoneCommitted(const RoundState& round) { return Commitments(round) == round.seats.size(); }

std::vector<uint64_t> Awaited(const CampaignState& campaign) {
  std::vector<uint64_t> accounts;
  const bool open = campaign.open.terms().open_commitments();
  for (const auto& [account, seat] : campaign.round.seats) {
    const bool expected = open || seat.commitment.has_value();
    if (expected && !seat.update.has_value() && !IsRejected(seat)) accounts.push_back(account);
  }
  return accounts;
}

std::vector<uint64_t> Included(const RoundState& round) {
  std::vector<uint64_t> accounts;
  for (const auto& [account, seat] : round.seats) {
    if (IsIncluded(seat)) accounts.push_back(account);
  }
  return accounts;
}

std::vector<uint64_t> Duplicates(const CampaignState& campaign) {
  std::map<base::Hash, uint64_t> owner;  // the lowest commit_index of each update
  for (const auto& [account, seat] : campaign.round.seats) {
    if (!IsIncluded(seat)) continue;
    const auto [at, first] = owner.emplace(*seat.update, seat.commit_index);
    if (!first) at->second = std::min(at->second, seat.commit_index);
  }
  std::vector<uint64_t> accounts;
  for (const auto& [account, seat] : campaign.round.seats) {
    if (!IsIncluded(seat) || *seat.update == campaign.zero_update) continue;
    if (owner.at(*seat.update) != seat.commit_index) accounts.push_back(account);
  }
  return accounts;
}

bool RejectedSinceAggregate(const RoundState& round) {
  const auto& lines = round.aggregate.lines();
  return std::any_of(lines.begin(), lines.end(), [&](const v1::AggregateLine& line) {
    return IsRejected(round.seats.at(line.account()));
  });
}

base::Hash ZeroUpdateDigest(uint64_t parameters) {
  const uint64_t size_bytes = 4 * parameters;
  const std::string chunk(base::kChunkBytes, '\0');
  base::RootBuilder root;
  if (size_bytes >= base::kChunkBytes) {
    const base::Hash whole = base::LeafHash(chunk);
    for (uint64_t i = 0; i < size_bytes / base::kChunkBytes; ++i) root.Append(whole);
  }
  if (const uint64_t rest = size_bytes % base::kChunkBytes; rest > 0) {
    root.Append(base::LeafHash(std::string_view(chunk).substr(0, rest)));
  }
  return base::BlobDigestOfRoot(base::BlobKind::kUpdate, size_bytes, root.Root());
}

}  // namespace crowdteach::ledger
