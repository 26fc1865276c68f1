// What no verification can show, by kind: the claims of a log, in words.
#include <algorithm>
#include <string_view>
#include <utility>

#include "ledger/audit/verify.h"

namespace crowdteach::audit {
namespace {

struct ClaimText {
  Claim claim;
  std::string_view kind;  // in JSON
  std::string_view what;
  std::string_view why;
};

constexpr std::string_view kCoordinatorsWord = "only the coordinator knows";
constexpr ClaimText kTexts[] = {
    {Claim::kMeasured, "measurements",
     "losses, accuracies, gradients and standard errors themselves",
     "they need the model evaluated on the validation set"},
    {Claim::kPaid, "issued", "ISSUE: that the credits were paid for",
     "what the reference names lies outside the log"},
    {Claim::kExamples, "examples", "ENROL: that a teacher has the examples it claims",
     "nobody else sees its data"},
    {Claim::kNotConnected, "not_connected",
     "ROUND_OPEN: that a teacher who was left out was not connected", kCoordinatorsWord},
    {Claim::kNotCommitted, "not_committed",
     "ROUND_COMMIT_CLOSE, COMMIT_QUORUM: that no commitment came from a selected teacher",
     "only coordinator and teacher know"},
    {Claim::kNoReveal, "no_reveal", "NO_REVEAL: that update and reveal had not arrived",
     "only coordinator and teacher know; the teacher may hold a signed acknowledgement"},
    {Claim::kShape, "shape", "SHAPE: that the refused update had a wrong size", ""},
    {Claim::kNorm, "norm", "NORM: that the refused update was over the norm cap", ""},
    {Claim::kDiverges, "diverges", "DIVERGES: that the loss with the refused update is not finite",
     "it needs the model evaluated"},
    {Claim::kNotFinite, "not_finite", "ROUND_ABORT NOT_FINITE: that loss or gradient was not",
     "it needs the model evaluated"},
    {Claim::kScoreRange, "score_range", "ROUND_ABORT SCORE_RANGE: that a score was out of range",
     "the scores were not recorded"},
    {Claim::kWorkerFailed, "worker_failed", "ROUND_ABORT WORKER_FAILED: that a worker failed",
     kCoordinatorsWord},
};

std::string_view WhyRefusedUnseen(bool with_artifacts) {
  return with_artifacts ? "the update is not among the artifacts, or cannot be read"
                        : "it follows from the update: give --artifacts";
}

}  // namespace

std::vector<Unchecked> OnTheirWord(const Report& report) {
  std::vector<Unchecked> left;
  for (const ClaimText& text : kTexts) {
    const auto found = report.replay.history.claims.find(text.claim);
    if (found == report.replay.history.claims.end()) continue;
    Unchecked item{std::string(text.kind), std::string(text.what), std::string(text.why), {}};
    std::copy_if(
        found->second.begin(), found->second.end(), std::back_inserter(item.entries),
        [&](uint64_t entry) { return report.artifacts.shown_rejections.count(entry) == 0; });
    if (item.entries.empty()) continue;
    if (item.why.empty()) {  // the update itself would show it
      item.why = WhyRefusedUnseen(report.with_artifacts);
      item.missing = report.with_artifacts;
    }
    left.push_back(std::move(item));
  }
  if (report.replay.verdict.entries > 0) {
    left.push_back({"time_and_order",
                    "times and order of the entries, and what was never logged",
                    "the coordinator's clock and hand; receipts and signed refusals that people "
                    "kept are the other evidence",
                    {}});
  }
  return left;
}

}  // namespace crowdteach::audit
