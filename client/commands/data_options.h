// The options that say which data a person teaches with, and reading it: the same for every command
// that takes them.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/data/examples.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct DataOptions {
  std::string data;  // see learning::ReadDataset
  // For demonstrations; see learning/data/shards.h.
  std::string shard;
  double dirichlet = 0;
  uint64_t shard_seed = 0;
  double label_noise = 0;
  uint64_t limit = 0;
};
// Returns --data, for who requires it.
CLI::Option* AddDataOptions(CLI::App* command, DataOptions* options);

// What can be wrong before there is a campaign. kInvalidArgument, kNotFound.
Status CheckDataOptions(const DataOptions& options);

// Errors as learning::ReadDataset and learning::TakeShard.
StatusOr<learning::ExamplesFile> ReadData(const DataOptions& options, const v1::DataTerms& terms);

}  // namespace crowdteach::client
