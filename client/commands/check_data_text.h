// What `crowdteach check-data` shows. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/commands/trial.h"
#include "crowdteach/v1/ledger.pb.h"
#include "learning/data/summary.h"

namespace crowdteach::client {

struct DataReport {
  std::string source;  // "campaign 9 “fashion-mnist”, running"
  uint64_t campaign = 0;
  std::string data;  // as it was given
  v1::Terms terms;
  std::string code_path;  // of a model as code; otherwise empty
  std::optional<learning::DataSummary> summary;
  std::vector<std::string> hints;
  std::optional<Trial> trial;
  std::string next;     // the command that joins; empty: not with a campaign file
  std::string problem;  // why not ready
};

// Classes with their numbers as bars, ranges of the values, hints.
std::string SummaryText(const DataReport& report);
std::string TrialText(const DataReport& report);
std::string ReportJson(const DataReport& report);

// A shell's word, quoted where it must be.
std::string ShellWord(const std::string& text);

}  // namespace crowdteach::client
