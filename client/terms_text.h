// The terms of a campaign in words, as a person is asked to agree to them. Pure.
#pragma once

#include <string>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/digest.h"

namespace crowdteach::client {

// SHA-256 of the canonical terms: what owner and teachers can compare by telephone.
base::Hash TermsHash(const v1::Terms& terms);

// A table: what is trained, for how long, for which money, who may read what.
std::string TermsText(const v1::CampaignOpen& open);

}  // namespace crowdteach::client
