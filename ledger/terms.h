// What a campaign's terms must satisfy before they may be recorded: every bound and every relation
// between two terms. The state machine calls this at CAMPAIGN_OPEN, the owner's client before it
// signs, so both say the same thing.
//
// A message reads "‹key› = ‹value›: must be ‹allowed›; ‹mend›" and starts with the term's key as it
// stands in campaign.toml ("min-cover", "data.mean"). All errors are kInvalidArgument.
// Pure integers, no floating point. Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

inline constexpr uint32_t kMaxRounds = 10000;
inline constexpr uint32_t kMaxTeachers = 256;  // selected a round: one part of SCORE and SETTLE
inline constexpr uint32_t kMaxAborts = 1000;
inline constexpr uint64_t kMaxDurationMs = uint64_t{365} * 24 * 3600 * 1000;
inline constexpr uint64_t kMaxCredits = uint64_t{1} << 62;  // a sum of two still fits int64
inline constexpr uint32_t kMinScaleBits = 16;
inline constexpr uint32_t kMaxScaleBits = 30;
// No update of 2^31 int32 coordinates has a larger L2 norm.
inline constexpr uint64_t kMaxNormCap = uint64_t{1} << 47;
inline constexpr uint64_t kMaxFeatures = uint64_t{1} << 24;  // values of one example
inline constexpr size_t kMaxDimensions = 8;
inline constexpr size_t kMaxClasses = 65536;
inline constexpr size_t kMaxNameBytes = 200;  // of a class or a CSV column
inline constexpr size_t kMaxModelTomlBytes = 32768;
// Leaves room for the rest of CAMPAIGN_OPEN and its entry within kMaxEntryBytes.
inline constexpr size_t kMaxTermsBytes = 64000;
inline constexpr uint64_t kMaxParameters = uint64_t{1} << 31;
inline constexpr uint64_t kMaxModelBytes = uint64_t{1} << 36;
inline constexpr uint64_t kMaxValidationCount = uint64_t{1} << 32;
inline constexpr uint64_t kMaxLossQ32 = uint64_t{1} << 52;  // exclusive: 2^20 nats

// The terms by themselves. Does not parse the model: that is learning's.
Status ValidateTerms(const v1::Terms& terms);

// ValidateTerms, and what is known only at launch: digests, sizes, counts, and the budget against
// the first loss: budget >= ceil(credits-per-nat * L0), so that the market can always pay.
Status ValidateOpen(const v1::CampaignOpen& open);

// ceil(credits_per_nat * loss_q32 / 2^32): the smallest budget that covers a fall of the loss to 0.
// Saturates at 2^64 - 1.
uint64_t LeastBudget(uint64_t credits_per_nat, uint64_t loss_q32);

}  // namespace crowdteach::ledger
