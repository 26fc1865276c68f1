#include "client/commands/data_options.h"

#include "learning/data/readers.h"
#include "learning/data/shards.h"
#include "proto/cli/cli.h"

namespace crowdteach::client {
namespace {

StatusOr<learning::ShardOptions> ReadShard(const DataOptions& options) {
  learning::ShardOptions shard;
  shard.seed = options.shard_seed;
  shard.label_noise = options.label_noise;
  shard.limit = options.limit;
  if (options.dirichlet > 0) shard.dirichlet = options.dirichlet;
  if (!options.shard.empty()) CT_RETURN_IF_ERROR(learning::ParseShard(options.shard, &shard));
  return shard;
}

}  // namespace

CLI::Option* AddDataOptions(CLI::App* command, DataOptions* options) {
  CLI::Option* data = command->add_option("--data", options->data, learning::kDatasetHelp);
  const std::string demo = "For demonstrations";
  command->add_option("--shard", options->shard, "Use part I of K of the data, as I/K")
      ->group(demo);
  command->add_option("--dirichlet", options->dirichlet, "Unequal classes: the smaller, the more")
      ->group(demo);
  command->add_option("--shard-seed", options->shard_seed, "Seed of the parts")->group(demo);
  command->add_option("--label-noise", options->label_noise, "Share of labels made wrong")
      ->group(demo)
      ->check(cli::InRange(0.0, 1.0));
  command->add_option("--limit", options->limit, "Use at most so many examples")->group(demo);
  return data;
}

Status CheckDataOptions(const DataOptions& options) {
  CT_RETURN_IF_ERROR(ReadShard(options).status());
  return learning::CheckDataset(options.data);
}

StatusOr<learning::ExamplesFile> ReadData(const DataOptions& options, const v1::DataTerms& terms) {
  CT_ASSIGN_OR_RETURN(learning::ExamplesFile all, learning::ReadDataset(options.data, terms));
  CT_ASSIGN_OR_RETURN(const learning::ShardOptions shard, ReadShard(options));
  if (options.shard.empty() && options.label_noise == 0 && options.limit == 0) return all;
  return learning::TakeShard(all, terms, shard);
}

}  // namespace crowdteach::client
