// Everything a bundle shows by itself: encoding, chain, tree, checkpoint, every signature, the
// rules and every posting, and every score from its recorded D and E.
//
// Thread-safety: pure functions over files. Trust: only the pinned log key is believed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ledger/audit/history.h"
#include "ledger/bundle.h"
#include "ledger/note.h"
#include "ledger/state.h"
#include "proto/base/status.h"

namespace crowdteach::audit {

struct Replay {
  ledger::BundleVerdict verdict;  // a fault is here; then the rest ends before it
  ledger::State state;
  History history;
  uint64_t postings = 0;  // recomputed
  uint64_t passes = 0;    // of SCORE: sum of the scores is the fall of the loss
  uint64_t scores = 0;    // recomputed from D and E
};

// Reads `source` once; signatures are checked on all processors. A fault is a value; an error is
// one of `source`.
StatusOr<Replay> ReplayBundle(const ledger::ByteSource& source, const ledger::VerifierKey& log);

// Every score of `score` from D, E, k, N, s and the losses. A void step has none. The sums are the
// rules' own check. kFailedPrecondition: a score is not what follows, or none can.
Status CheckScores(const v1::Score& score, const v1::Terms& terms);

// Where the evidence lies: a bundle, or the folder of an export (log.bundle and artifacts/).
struct Evidence {
  std::string bundle_path;
  std::string artifacts_path;  // empty: none were given
};
// `artifacts` (an option) wins over the folder's own, which need not be there. kNotFound: nothing
// at `path`, or a folder without log.bundle.
StatusOr<Evidence> FindEvidence(const std::string& path, const std::string& artifacts);

// The pinned key: a vkey, or the path of a file that holds one, by itself or as an invite does.
// kInvalidArgument: empty (the message says why it is needed), or neither.
StatusOr<ledger::VerifierKey> PinnedKey(const std::string& key);

}  // namespace crowdteach::audit
