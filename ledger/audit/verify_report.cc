#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "ledger/audit/verify.h"
#include "proto/base/bytes.h"

namespace crowdteach::audit {

std::vector<CheckedLine> CheckedLines(const Report& report) {
  const Replay& replay = report.replay;
  std::vector<CheckedLine> lines = {
      {"entries", "entries: encoding, signature, chain, rules", replay.verdict.entries},
      {"postings", "postings: what the rules give", replay.postings},
      {"passes", "scored passes: scores add up to the fall of the loss", replay.passes},
      {"scores", "scores: recomputed from D and E", replay.scores}};
  if (!report.with_artifacts) return lines;
  const Counts& counts = report.artifacts.counts;
  lines.insert(lines.end(),
               {{"artifacts", "artifacts: bytes are what their name says", counts.artifacts},
                {"norms", "norms and clip factors: from the updates", counts.norms},
                {"models", "next models: bit for bit from the updates", counts.models},
                {"step_products", "E: from the updates", counts.step_products},
                {"gradients", "k: from the gradients", counts.gradients},
                {"gradient_products", "D: from updates and gradients", counts.gradient_products},
                {"rejections", "rejections of shape or norm: from the updates",
                 report.artifacts.shown_rejections.size()},
                {"validation_sets", "validation sets: as committed", counts.validation_sets}});
  return lines;
}

namespace {

// "3 entries: 17, 20, 31"; JSON has them all.
std::string EntryList(const std::vector<uint64_t>& entries) {
  constexpr size_t kShown = 12;
  const size_t shown = std::min(entries.size(), kShown);
  return fmt::format(
      "{} {}: {}{}", entries.size(), entries.size() == 1 ? "entry" : "entries",
      fmt::join(entries.begin(), entries.begin() + static_cast<ptrdiff_t>(shown), ", "),
      shown < entries.size() ? ", … (all of them: --format json)" : "");
}

std::string_view Verdict(const Report& report) {
  if (report.fault()) return "disproved";
  return report.incomplete() ? "incomplete" : "ok";
}

}  // namespace

std::string ReportText(const Report& report) {
  std::string text;
  const ledger::Checkpoint& checkpoint = report.replay.verdict.checkpoint;
  const bool verified = !report.replay.verdict.fault;
  if (verified) {
    text += fmt::format("log         {}\ncheckpoint  {} entries, root {}\n", checkpoint.origin,
                        checkpoint.size, base::Hex(checkpoint.root));
    const uint32_t rules = report.replay.state.genesis().rules_version();
    text += fmt::format("rules       version {}{}\n\n", rules,
                        rules == 0 ? " (not final: a later auditor may refuse this log)" : "");
  }
  text += fmt::format("{:<56} {:>9}  {}\n", report.fault() ? "checked before the fault" : "checked",
                      "how many", "result");
  if (verified) text += fmt::format("{:<56} {:>9}  ok\n", "checkpoint: signature, size, root", 1);
  for (const CheckedLine& line : CheckedLines(report)) {
    text +=
        fmt::format("{:<56} {:>9}  {}\n", line.what, line.count, line.count == 0 ? "none" : "ok");
  }
  if (!report.artifacts.unchecked.empty()) text += "\nnot checked\n";
  for (const Unchecked& item : report.artifacts.unchecked) {
    text += fmt::format("  {}{}: {}\n", item.missing ? "MISSING: " : "", item.what, item.why);
    if (!item.entries.empty()) text += fmt::format("    {}\n", EntryList(item.entries));
  }
  if (const auto& fault = report.fault()) {
    const std::string part = fault->part.empty() ? "" : fmt::format(" ({})", fault->part);
    return text +
           fmt::format("\naudit: DISPROVED at {}{}: {}\n", fault->region, part, fault->reason);
  }
  return text + (report.incomplete() ? "\naudit: incomplete: what could be checked verifies\n"
                                     : "\naudit: ok\n");
}

std::string ReportJson(const Report& report) {
  nlohmann::ordered_json json;
  json["audit"] = Verdict(report);
  json["entries"] = report.replay.verdict.entries;
  if (!report.replay.verdict.fault) {
    const ledger::Checkpoint& checkpoint = report.replay.verdict.checkpoint;
    json["checkpoint"] = {{"origin", checkpoint.origin},
                          {"size", checkpoint.size},
                          {"root", base::Hex(checkpoint.root)}};
    json["rules_version"] = report.replay.state.genesis().rules_version();
  }
  for (const CheckedLine& line : CheckedLines(report)) {
    json["checked"][std::string(line.key)] = line.count;
  }
  json["unchecked"] = nlohmann::ordered_json::array();
  for (const Unchecked& item : report.artifacts.unchecked) {
    json["unchecked"].push_back({{"kind", item.kind},
                                 {"what", item.what},
                                 {"why", item.why},
                                 {"missing", item.missing},
                                 {"count", item.entries.size()},
                                 {"entries", item.entries}});
  }
  if (const auto& fault = report.fault()) {
    json["fault"] = {{"region", fault->region}, {"part", fault->part}, {"reason", fault->reason}};
  }
  // A stranger's bytes may stand in a reason; JSON is UTF-8.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace crowdteach::audit
