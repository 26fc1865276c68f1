// Whether a log continues a head that was seen before: found in the bundle itself, without asking
// anybody. Thread-safety: pure functions over files.
#pragma once

#include <string>

#include "ledger/bundle.h"
#include "ledger/checkpoint.h"
#include "ledger/note.h"
#include "proto/base/status.h"

namespace crowdteach::audit {

// Of a bundle that verifies. kDataLoss with IsFork: it is shorter than `earlier` says, or its first
// entries are others; both heads are signed by the log's key, so the two together convict it.
Status CheckContinues(const std::string& bundle_path, const ledger::VerifierKey& log,
                      const ledger::Checkpoint& earlier);

// The head of a bundle, its form and signature checked and nothing else. kDataLoss: it has none.
StatusOr<ledger::Checkpoint> HeadOf(const std::string& bundle_path, const ledger::VerifierKey& log);

}  // namespace crowdteach::audit
