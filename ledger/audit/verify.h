// The auditor's verdict on a bundle and its artifacts, with what was checked and what could not be.
//
// From the bundle alone: replay.h. With models and updates, bit for bit and without Torch: norms,
// clip factors, next models, every E. With g, revealed once a campaign is closed: k and every D.
// With the validation set: its commitment. Thread-safety: pure functions over files.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/audit/replay.h"

namespace crowdteach::audit {

struct Unchecked {
  std::string kind;  // for programs: "no_reveal"
  std::string what;
  std::string why;
  std::vector<uint64_t> entries;  // that rest on it, ascending; empty: not of single entries
  bool missing = false;           // should be among the artifacts that were given, and is not
};

struct Counts {
  uint64_t artifacts = 0;          // files whose digest is their name
  uint64_t norms = 0;              // norms and clip factors
  uint64_t models = 0;             // next models, bit for bit
  uint64_t step_products = 0;      // E
  uint64_t gradients = 0;          // k of g
  uint64_t gradient_products = 0;  // D
  uint64_t validation_sets = 0;
};

// What the artifacts show. A fault's region is "artifact ‹digest›", or the entry it contradicts.
struct ArtifactReport {
  Counts counts;
  std::set<uint64_t> shown_rejections;  // entries: SHAPE and NORM, as the update shows
  std::vector<Unchecked> unchecked;     // after Verify: all that is left
  std::optional<ledger::BundleFault> fault;
};

struct Report {
  Replay replay;
  bool with_artifacts = false;
  ArtifactReport artifacts;

  const std::optional<ledger::BundleFault>& fault() const {
    return replay.verdict.fault ? replay.verdict.fault : artifacts.fault;
  }
  bool incomplete() const;  // something that was asked for is missing
  int exit_code() const;    // kExitOk, kExitDisproved, kExitIncomplete
};

// Errors are of files and of this machine; a fault is a value.
StatusOr<Report> Verify(const Evidence& evidence, const ledger::VerifierKey& log);

// Of a replay without fault. `folder` holds files named by their digest; what is not there is noted
// in `unchecked`. Next models are written to a temporary folder, one at a time. Errors of it.
StatusOr<ArtifactReport> CheckArtifacts(const Replay& replay, const std::string& folder);

// unchecked.cc: what `report` leaves to the word of coordinator, owner or teachers (claims.h), less
// what the artifacts showed.
std::vector<Unchecked> OnTheirWord(const Report& report);

// "round 3 of campaign 12"
std::string RoundName(uint64_t campaign, uint32_t round);

// verify_report.cc: what was checked, a line each, and what `verify` prints.
struct CheckedLine {
  std::string_view key;   // in JSON
  std::string_view what;  // for people
  uint64_t count;
};
std::vector<CheckedLine> CheckedLines(const Report& report);
std::string ReportText(const Report& report);
std::string ReportJson(const Report& report);

}  // namespace crowdteach::audit
