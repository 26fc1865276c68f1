#include "learning/data/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "learning/data/plain_name.h"
#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

// Sums around the first value, so that a large mean does not drown a small deviation.
class Tally {
 public:
  void Add(double value) {
    if (count_ == 0) origin_ = value;
    least_ = std::min(least_, value);
    most_ = std::max(most_, value);
    const double off = value - origin_;
    sum_ += off;
    squares_ += off * off;
    ++count_;
  }
  ValueRange Range() const {
    const auto n = static_cast<double>(count_);
    const double mean = sum_ / n;
    return {least_, most_, origin_ + mean, std::sqrt(std::max(0.0, squares_ / n - mean * mean))};
  }

 private:
  uint64_t count_ = 0;
  double origin_ = 0, sum_ = 0, squares_ = 0;
  double least_ = std::numeric_limits<double>::infinity();
  double most_ = -std::numeric_limits<double>::infinity();
};

double ValueAt(std::string_view features, size_t i, bool bytes) {
  if (bytes) return static_cast<uint8_t>(features[i]);
  float value = 0;
  std::memcpy(&value, features.data() + i * sizeof value, sizeof value);
  return static_cast<double>(value);
}

// "channel 3", or of a table the column's name.
std::string ChannelName(const v1::DataTerms& terms, size_t channel) {
  const auto& columns = terms.csv_feature_columns();
  if (terms.input_shape_size() == 1 && static_cast<size_t>(columns.size()) > channel) {
    return "column " + base::Quoted(columns[static_cast<int>(channel)]);
  }
  return fmt::format("channel {}", channel + 1);
}

// Why values with this range are no good start for a network, or "".
std::string Oddity(const ValueRange& range) {
  constexpr double kFar = 1.5;
  constexpr double kNarrow = 0.2, kWide = 5;
  if (range.least == range.most) return fmt::format("every value is {:.4g}", range.least);
  if (std::abs(range.mean) <= kFar && range.deviation >= kNarrow && range.deviation <= kWide) {
    return "";
  }
  return fmt::format("normalised, the mean is {:.3g} and the deviation {:.3g}; 0 and 1 are usual",
                     range.mean, range.deviation);
}

void AddClassHints(const DataSummary& summary, const v1::DataTerms& terms,
                   std::vector<std::string>* hints) {
  const auto missing = std::count(summary.per_class.begin(), summary.per_class.end(), uint64_t{0});
  if (missing > 0) {
    hints->push_back(
        fmt::format("{} of {} classes have no example here: that is allowed, but check "
                    "that none was overlooked",
                    missing, summary.per_class.size()));
  }
  std::map<std::string, std::string> seen;
  for (const std::string& name : terms.classes()) {
    const auto [same, added] = seen.emplace(PlainName(name), name);
    if (added) continue;
    hints->push_back(fmt::format("the classes {} and {} are easily taken for one another",
                                 base::Quoted(same->second), base::Quoted(name)));
  }
}

}  // namespace

DataSummary Summarise(const ExamplesFile& file, const v1::DataTerms& terms) {
  const ExampleFormat& format = file.format();
  const bool bytes = format.value_bytes == 1;
  const auto channels =
      static_cast<size_t>(std::max(terms.mean_nano_size(), terms.deviation_nano_size()));
  const size_t per_channel = format.features / channels;
  DataSummary summary;
  summary.count = file.count();
  summary.per_class.resize(format.classes);
  Tally raw, normalised;
  std::vector<Tally> by_channel(channels);
  for (uint64_t i = 0; i < file.count(); ++i) {
    ++summary.per_class[file.label(i)];
    const std::string_view features = file.features(i);
    for (size_t k = 0; k < format.features; ++k) {
      const size_t c = k / per_channel;
      const int m = terms.mean_nano_size() == 1 ? 0 : static_cast<int>(c);
      const int d = terms.deviation_nano_size() == 1 ? 0 : static_cast<int>(c);
      const double value = ValueAt(features, k, bytes);
      const double unit = bytes ? value / 255 : value;
      const double seen = (unit - static_cast<double>(terms.mean_nano(m)) / 1e9) /
                          (static_cast<double>(terms.deviation_nano(d)) / 1e9);
      raw.Add(value);
      normalised.Add(seen);
      if (channels > 1) by_channel[c].Add(seen);
    }
  }
  summary.raw = raw.Range();
  summary.normalised = normalised.Range();
  for (const Tally& tally : by_channel) {
    if (channels > 1) summary.channels.push_back(tally.Range());
  }
  return summary;
}

std::vector<std::string> Hints(const DataSummary& summary, const v1::DataTerms& terms) {
  constexpr size_t kMostChannels = 5;
  std::vector<std::string> hints;
  AddClassHints(summary, terms, &hints);
  if (terms.feature_type() == v1::U8 && summary.raw.most == 1) {
    hints.emplace_back("the values are 0 and 1; the campaign expects 0 to 255: multiply by 255?");
  }
  if (const std::string odd = Oddity(summary.normalised); !odd.empty()) {
    hints.push_back("all values: " + odd + ": are they in the owner's unit?");
  }
  size_t odd_channels = 0;
  for (size_t c = 0; c < summary.channels.size(); ++c) {
    const std::string odd = Oddity(summary.channels[c]);
    if (odd.empty() || ++odd_channels > kMostChannels) continue;
    hints.push_back(fmt::format("{}: {}", ChannelName(terms, c), odd));
  }
  if (odd_channels > kMostChannels) {
    hints.push_back(fmt::format("{} more such", odd_channels - kMostChannels));
  }
  return hints;
}

}  // namespace crowdteach::learning
