// Bundles: a whole log in one file, every byte of which is covered by a check.
//
//   "crowdteach-bundle/v1\n"  u64 count  (u32 length  entry)*  u32 length  checkpoint note  EOF
//
// Integers are big-endian; the note carries one signature, of the log key.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ledger/checkpoint.h"
#include "ledger/entry.h"
#include "ledger/log_store.h"
#include "ledger/note.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

using ByteSink = std::function<Status(std::string_view bytes)>;
// Fills up to `size` bytes and says how many; 0 only at the end.
using ByteSource = std::function<StatusOr<size_t>(char* out, size_t size)>;

// Streams the first `count` entries of `store` and `checkpoint` (a note of that size) into `sink`.
// Errors of the store and the sink.
Status WriteBundle(const LogStore& store, uint64_t count, std::string_view checkpoint,
                   const ByteSink& sink);

// Why a bundle is refused, and where: "header", "entry 17", "checkpoint", "signature 0".
struct BundleFault {
  std::string region;
  std::string part;  // of an entry: "length", "index", "prev", "time", "intent", "postings",
                     // "encoding"; else empty
  std::string reason;
};

struct BundleVerdict {
  std::optional<BundleFault> fault;  // none: everything below is verified
  uint64_t entries = 0;              // visited without fault
  Checkpoint checkpoint;
  std::string note;  // that the checkpoint was read from, as signed
};

// Called with each entry in order, after its encoding, index, prev and time were checked: replays
// it. What it refuses is the entry's fault: kDataLoss names the part "postings", else "intent".
using EntryVisitor = std::function<Status(const LoggedEntry& entry)>;

// Called with runs of up to kBundleRun entries in order, decoded and otherwise unchecked, before
// the visits of those entries: for work that can be done ahead (signatures_ahead.h).
using RunVisitor = std::function<void(std::span<const LoggedEntry* const> entries)>;
inline constexpr size_t kBundleRun = 256;

// Reads `source` once, holding three entries at most, kBundleRun and two with `ahead`. Checks
// format, chain, root and the signature of `log`. A fault is a value; an error is one of `source`,
// or kFailedPrecondition: a newer crowdteach-audit is needed.
// Where a changed byte shows only in a hash, the entry is found by which of its neighbours still
// agree.
StatusOr<BundleVerdict> VerifyBundle(const ByteSource& source, const VerifierKey& log,
                                     const EntryVisitor& visit, const RunVisitor& ahead = nullptr);

ByteSource StringSource(std::string_view bytes);  // `bytes` must outlive it
// kNotFound, kPermissionDenied.
StatusOr<ByteSource> FileSource(const std::string& path);

}  // namespace crowdteach::ledger
