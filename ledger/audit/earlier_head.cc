#include "ledger/audit/earlier_head.h"

#include "ledger/merkle.h"
#include "proto/base/exit_codes.h"

namespace crowdteach::audit {
namespace {

// Chain, tree and signature; `visit` sees every entry.
StatusOr<ledger::Checkpoint> ReadHead(const std::string& path, const ledger::VerifierKey& log,
                                      const ledger::EntryVisitor& visit) {
  CT_ASSIGN_OR_RETURN(const ledger::ByteSource source, ledger::FileSource(path));
  CT_ASSIGN_OR_RETURN(const ledger::BundleVerdict verdict,
                      ledger::VerifyBundle(source, log, visit));
  if (!verdict.fault) return verdict.checkpoint;
  return DataLoss("{}: {}: {}", path, verdict.fault->region, verdict.fault->reason);
}

}  // namespace

StatusOr<ledger::Checkpoint> HeadOf(const std::string& bundle_path,
                                    const ledger::VerifierKey& log) {
  return ReadHead(bundle_path, log, [](const ledger::LoggedEntry&) { return OkStatus(); });
}

Status CheckContinues(const std::string& bundle_path, const ledger::VerifierKey& log,
                      const ledger::Checkpoint& earlier) {
  ledger::MerkleTree tree;
  CT_ASSIGN_OR_RETURN(const ledger::Checkpoint head,
                      ReadHead(bundle_path, log, [&](const ledger::LoggedEntry& entry) {
                        if (tree.size() < earlier.size) tree.Append(entry.leaf);
                        return OkStatus();
                      }));
  if (head.size < earlier.size) {
    return AsFork(DataLoss("the log has {} entries and had {} before: it was rolled back",
                           head.size, earlier.size));
  }
  if (tree.Root() == earlier.root) return OkStatus();
  return AsFork(
      DataLoss("the first {} entries are not those seen before: the log was changed or forked",
               earlier.size));
}

}  // namespace crowdteach::audit
