#include "learning/data/shards.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "learning/data/random.h"

namespace crowdteach::learning {
namespace {

constexpr uint32_t kMaxShards = 10000;
constexpr double kLeastAlpha = 0.001;
constexpr double kMostAlpha = 1e6;

Status CheckOptions(const ShardOptions& options) {
  if (options.shards < 1 || options.shards > kMaxShards || options.shard < 1 ||
      options.shard > options.shards) {
    return InvalidArgument("--shard {}/{}: must be K/N with 1 <= K <= N <= {}", options.shard,
                           options.shards, kMaxShards);
  }
  // Negated, so that NaN is refused too.
  if (options.dirichlet &&
      !(*options.dirichlet >= kLeastAlpha && *options.dirichlet <= kMostAlpha)) {
    return InvalidArgument(
        "--dirichlet {}: must be {} to {}; 0.5 makes unequal shards, 100 nearly "
        "equal ones",
        *options.dirichlet, kLeastAlpha, kMostAlpha);
  }
  if (!(options.label_noise >= 0 && options.label_noise <= 1)) {
    return InvalidArgument("--label-noise {}: must be 0 to 1, the share of labels replaced",
                           options.label_noise);
  }
  return OkStatus();
}

bool ParseNumber(std::string_view text, uint32_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

// Where each shard's part of `count` examples ends.
std::vector<uint64_t> Boundaries(uint64_t count, const ShardOptions& options, uint32_t label) {
  std::vector<uint64_t> ends(options.shards, count);
  if (!options.dirichlet) {
    for (uint32_t j = 0; j < options.shards; ++j) ends[j] = count * (j + 1) / options.shards;
    return ends;
  }
  const std::vector<double> shares =
      Random(options.seed, "dirichlet", label).Dirichlet(*options.dirichlet, options.shards);
  double sum = 0;
  for (uint32_t j = 0; j + 1 < options.shards; ++j) {
    sum += shares[j];
    ends[j] = std::min(count, static_cast<uint64_t>(static_cast<double>(count) * sum));
  }
  return ends;
}

}  // namespace

Status ParseShard(std::string_view text, ShardOptions* options) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || !ParseNumber(text.substr(0, slash), &options->shard) ||
      !ParseNumber(text.substr(slash + 1), &options->shards)) {
    return InvalidArgument("--shard {}: must be K/N, such as 2/6 for the second of six", text);
  }
  return CheckOptions(*options);
}

StatusOr<std::vector<std::vector<uint64_t>>> Partition(const ExamplesFile& file,
                                                       const ShardOptions& options) {
  CT_RETURN_IF_ERROR(CheckOptions(options));
  std::vector<std::vector<uint64_t>> of_class(options.dirichlet ? file.format().classes : 1);
  for (uint64_t i = 0; i < file.count(); ++i) {
    of_class[options.dirichlet ? file.label(i) : 0].push_back(i);
  }
  std::vector<std::vector<uint64_t>> shards(options.shards);
  for (uint32_t label = 0; label < of_class.size(); ++label) {
    std::vector<uint64_t>& places = of_class[label];
    Random(options.seed, "class", label).Shuffle(places);
    const std::vector<uint64_t> ends = Boundaries(places.size(), options, label);
    uint64_t begin = 0;
    for (uint32_t j = 0; j < options.shards; ++j) {
      shards[j].insert(shards[j].end(), places.begin() + begin, places.begin() + ends[j]);
      begin = ends[j];
    }
  }
  for (uint32_t j = 0; j < options.shards; ++j) {
    if (shards[j].empty()) {
      return FailedPrecondition(
          "{}: shard {} of {} would have none of the {} examples: use fewer shards, another --seed "
          "or a larger --dirichlet",
          file.name(), j + 1, options.shards, file.count());
    }
    std::sort(shards[j].begin(), shards[j].end());
  }
  return shards;
}

StatusOr<ExamplesFile> TakeShard(const ExamplesFile& file, const v1::DataTerms& terms,
                                 const ShardOptions& options) {
  CT_ASSIGN_OR_RETURN(auto shards, Partition(file, options));
  std::vector<uint64_t> places = std::move(shards[options.shard - 1]);
  Random(options.seed, "order", options.shard).Shuffle(places);
  if (options.limit > 0 && places.size() > options.limit) places.resize(options.limit);

  CT_ASSIGN_OR_RETURN(ExamplesWriter writer,
                      ExamplesWriter::InMemory(terms, fmt::format("{} (shard {}/{})", file.name(),
                                                                  options.shard, options.shards)));
  Random noise(options.seed, "noise", options.shard);
  for (const uint64_t place : places) {
    uint32_t label = file.label(place);
    if (options.label_noise > 0 && noise.Uniform() < options.label_noise) {
      const auto other = static_cast<uint32_t>(noise.Below(file.format().classes - 1));
      label = other + (other >= label ? 1 : 0);
    }
    CT_RETURN_IF_ERROR(writer.Append(label, file.features(place)));
  }
  return std::move(writer).Finish();
}

}  // namespace crowdteach::learning
