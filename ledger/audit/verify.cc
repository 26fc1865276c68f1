#include "ledger/audit/verify.h"

#include <algorithm>
#include <utility>

#include "proto/base/exit_codes.h"

namespace crowdteach::audit {
namespace {

// What a bundle without artifacts leaves open.
std::vector<Unchecked> LeftByBundle(const Replay& replay) {
  Unchecked aggregates{"aggregates",
                       "sizes of models, norms, clip factors, next models, E",
                       "they follow from models and updates: give --artifacts",
                       {}};
  Unchecked products{"gradient_products",
                     "k and D of the gradients",
                     "they follow from updates and, once a campaign is closed, from its gradients: "
                     "give --artifacts",
                     {}};
  Unchecked sets{
      "validation_sets", "the validation sets", "revealed at close: give --artifacts", {}};
  for (const auto& [id, campaign] : replay.history.campaigns) {
    sets.entries.push_back(id);
    for (const Round& round : campaign.rounds) {
      for (const Pass& pass : round.passes) {
        aggregates.entries.push_back(pass.aggregate_entry);
        if (!pass.score) continue;
        aggregates.entries.push_back(pass.score_entry);
        if (pass.score->path_nodes() != 0) products.entries.push_back(pass.score_entry);
      }
    }
  }
  std::vector<Unchecked> left;
  for (Unchecked* item : {&aggregates, &products, &sets}) {
    if (item->entries.empty()) continue;
    std::sort(item->entries.begin(), item->entries.end());  // campaigns run side by side
    left.push_back(std::move(*item));
  }
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
  for (Unchecked& item : OnTheirWord(report)) {
    report.artifacts.unchecked.push_back(std::move(item));
  }
  return report;
}

}  // namespace crowdteach::audit
