#include "learning/worker/normaliser.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

constexpr uint64_t kMaxFeatures = uint64_t{1} << 28;  // 1 GiB of float32 in one example

size_t Channels(const v1::DataTerms& terms) {
  return static_cast<size_t>(terms.mean_nano_size() > terms.deviation_nano_size()
                                 ? terms.mean_nano_size()
                                 : terms.deviation_nano_size());
}

}  // namespace

Status Normaliser::Check(const v1::DataTerms& terms, uint64_t index_limit) {
  if (terms.feature_type() != v1::U8 && terms.feature_type() != v1::FLOAT32) {
    return InvalidArgument("data: feature type {} is not known",
                           static_cast<int>(terms.feature_type()));
  }
  uint64_t features = 1;
  for (const uint32_t dimension : terms.input_shape()) {
    if (dimension == 0 || features > kMaxFeatures / dimension) {
      return InvalidArgument("data: an example has no features, or more than {}", kMaxFeatures);
    }
    features *= dimension;
  }
  const auto fits = [&](int count) {
    return count == 1 ||
           (terms.input_shape_size() > 0 && static_cast<uint32_t>(count) == terms.input_shape(0));
  };
  if (terms.input_shape_size() == 0 || !fits(terms.mean_nano_size()) ||
      !fits(terms.deviation_nano_size())) {
    return InvalidArgument("data: {} means and {} deviations; one, or one a channel, is needed",
                           terms.mean_nano_size(), terms.deviation_nano_size());
  }
  for (const uint64_t deviation : terms.deviation_nano()) {
    if (deviation == 0) {
      return InvalidArgument("data: a deviation of 0");
    }
  }
  const auto all = [](const auto& values, auto wanted) {
    return std::all_of(values.begin(), values.end(), [&](auto value) { return value == wanted; });
  };
  if (index_limit != 0 &&
      !(all(terms.mean_nano(), 0) && all(terms.deviation_nano(), uint64_t{1'000'000'000}))) {
    return InvalidArgument(
        "data: the model's input goes to an Embedding, which takes indices as they are: mean must "
        "be 0 and deviation 1");
  }
  return OkStatus();
}

Normaliser::Normaliser(const v1::DataTerms& terms, uint64_t index_limit)
    : bytes_(terms.feature_type() == v1::U8), index_limit_(index_limit) {
  const size_t channels = Channels(terms);
  size_t features = 1;
  for (const uint32_t dimension : terms.input_shape()) {
    features *= dimension;
  }
  channel_features_ = features / channels;
  for (size_t c = 0; c < channels; ++c) {
    const int mean = terms.mean_nano_size() == 1 ? 0 : static_cast<int>(c);
    const int deviation = terms.deviation_nano_size() == 1 ? 0 : static_cast<int>(c);
    mean_.push_back(static_cast<double>(terms.mean_nano(mean)) / 1e9);
    deviation_.push_back(static_cast<double>(terms.deviation_nano(deviation)) / 1e9);
    for (int x = 0; bytes_ && x < 256; ++x) {
      table_.push_back(static_cast<float>((x / 255.0 - mean_[c]) / deviation_[c]));
    }
  }
}

Status Normaliser::Apply(std::string_view raw, std::span<float> out) const {
  CT_ASSERT(raw.size() == out.size() * (bytes_ ? 1 : sizeof(float)));
  if (index_limit_ == 0) {
    Normalise(raw, out);
    return OkStatus();
  }
  Take(raw, out);
  for (size_t k = 0; k < out.size(); ++k) {
    if (out[k] >= 0 && out[k] < static_cast<float>(index_limit_) && out[k] == std::floor(out[k])) {
      continue;
    }
    return InvalidArgument("feature {} is {}, but the model takes indices, whole numbers 0 to {}",
                           k + 1, out[k], index_limit_ - 1);
  }
  return OkStatus();
}

void Normaliser::Take(std::string_view raw, std::span<float> out) const {
  if (bytes_) {
    std::transform(raw.begin(), raw.end(), out.begin(),
                   [](char c) { return static_cast<float>(static_cast<uint8_t>(c)); });
  } else {
    std::memcpy(out.data(), raw.data(), raw.size());
  }
}

void Normaliser::Normalise(std::string_view raw, std::span<float> out) const {
  for (size_t c = 0, k = 0; c < mean_.size(); ++c) {
    for (const size_t end = k + channel_features_; k < end; ++k) {
      if (bytes_) {
        out[k] = table_[c * 256 + static_cast<uint8_t>(raw[k])];
      } else {
        float x = 0;
        std::memcpy(&x, raw.data() + k * sizeof(float), sizeof(float));
        out[k] = static_cast<float>((static_cast<double>(x) - mean_[c]) / deviation_[c]);
      }
    }
  }
}

}  // namespace crowdteach::learning
