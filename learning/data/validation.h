// The validation set and its commitment. Before the first round the owner commits to an examples
// file with random salts; the coordinator scores on it; after close it is revealed and checked.
//
//   root   = RFC 6962 root over the records as leaves, so one record can be opened by itself
//   digest = blob digest (kind "validation") of the whole file, so it streams like any blob
//
// Thread-safety: pure functions over files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/data/examples.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

struct ValidationCommitment {
  base::Hash root{};
  base::Hash digest{};
  uint64_t count = 0;
  bool operator==(const ValidationCommitment&) const = default;
};

ValidationCommitment CommitmentOf(const ExamplesFile& file);

// The commitment CAMPAIGN_OPEN records. kInvalidArgument: a digest is not 32 bytes.
StatusOr<ValidationCommitment> CommitmentOf(const v1::CampaignOpen& open);

// Writes `dataset` with salts to a new file at `path`. `salts` holds kSaltBytes for every example
// and must be secret random bytes (base::RandomBytes) in use; a test passes fixed ones.
// kInvalidArgument: a wrong number of them; else as ExamplesWriter.
StatusOr<ExamplesFile> MakeValidationSet(const ExamplesFile& dataset, std::string_view salts,
                                         const std::string& path, const v1::DataTerms& terms);

// Opens a validation set and requires that it is the committed one. kDataLoss: count, root or
// digest differ (the message says which); else as ExamplesFile::Open.
StatusOr<ExamplesFile> VerifyValidationSet(const std::string& path,
                                           const ValidationCommitment& commitment,
                                           const v1::DataTerms& terms);

}  // namespace crowdteach::learning
