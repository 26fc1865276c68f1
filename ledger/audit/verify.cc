#include "ledger/audit/verify.h"

#include <algorithm>

#include "proto/base/exit_codes.h"

namespace crowdteach::audit {
namespace {

// What a bundle without artifacts leaves open.
std::vector<Unchecked> LeftByBundle(const Replay& replay) {
  std::vector<Unchecked> left;
  if (replay.passes == 0) return left;
  left.push_back({"norms, clip factors, next models, E",
                  "they follow from models and updates: give --artifacts", false});
  left.push_back({"k and D of the gradients",
                  "they follow from updates and, once a campaign is closed, from its gradients: "
                  "give --artifacts",
                  false});
  left.push_back({"the validation sets", "revealed at close: give --artifacts", false});
  return left;
}

}  // namespace

std::string RoundName(uint64_t campaign, uint32_t round) {
  return fmt::format("round {} of campaign {}", round, campaign);
}

bool Report::incomplete() const {
  return std::any_of(artifacts.unchecked.begin(), artifacts.unchecked.end(),
                     [](const Unchecked& item) { return item.missing; });
}

int Report::exit_code() const {
  if (fault()) return kExitDisproved;
  return incomplete() ? kExitIncomplete : kExitOk;
}

StatusOr<Report> Verify(const Evidence& evidence, const ledger::VerifierKey& log) {
  Report report;
  CT_ASSIGN_OR_RETURN(const ledger::ByteSource source, ledger::FileSource(evidence.bundle_path));
  CT_ASSIGN_OR_RETURN(report.replay, ReplayBundle(source, log));
  report.with_artifacts = !evidence.artifacts_path.empty();
  if (report.replay.verdict.fault) return report;
  if (report.with_artifacts) {
    CT_ASSIGN_OR_RETURN(report.artifacts, CheckArtifacts(report.replay, evidence.artifacts_path));
  } else {
    report.artifacts.unchecked = LeftByBundle(report.replay);
  }
  if (report.replay.passes > 0) {
    report.artifacts.unchecked.push_back(
        {"losses, accuracies, gradients and standard errors themselves",
         "they need the model evaluated on the validation set", false});
  }
  return report;
}

}  // namespace crowdteach::audit
