// ReadNpy: two arrays of numbers in NumPy's .npy format.
#include "learning/data/npy.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "learning/data/shape.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

// IEEE 754 binary16, which C++20 has no type for.
struct Half {
  uint16_t bits;
};

float Single(Half half) {
  const int exponent = half.bits >> 10 & 31;
  const int fraction = half.bits & 1023;
  const float size =
      exponent == 31  ? (fraction == 0 ? std::numeric_limits<float>::infinity() : std::nanf(""))
      : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                      : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  return (half.bits & 0x8000) != 0 ? -size : size;
}

template <typename T>
auto Plain(T value) {
  if constexpr (std::is_same_v<T, Half>) {
    return Single(value);
  } else {
    return value;
  }
}

// Calls `act` with a value of the C++ type of an array.
template <typename F>
auto WithType(const NpyHeader& header, F&& act) {
  switch (header.kind << 4 | header.bytes) {
    case 'b' << 4 | 1:
    case 'u' << 4 | 1:
      return act(uint8_t{});
    case 'u' << 4 | 2:
      return act(uint16_t{});
    case 'u' << 4 | 4:
      return act(uint32_t{});
    case 'u' << 4 | 8:
      return act(uint64_t{});
    case 'i' << 4 | 1:
      return act(int8_t{});
    case 'i' << 4 | 2:
      return act(int16_t{});
    case 'i' << 4 | 4:
      return act(int32_t{});
    case 'i' << 4 | 8:
      return act(int64_t{});
    case 'f' << 4 | 2:
      return act(Half{});
    case 'f' << 4 | 4:
      return act(float{});
    default:
      CT_ASSERT(header.kind == 'f' && header.bytes == 8);
      return act(double{});
  }
}

// The reason a value is no feature, or nullptr.
template <typename T>
const char* ToByte(T value, char* out) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!(value >= 0 && value <= 255)) return "is outside 0-255 (feature-type is u8)";
    if (value != std::floor(value)) return "is not a whole number (feature-type is u8)";
  } else {
    if (!std::in_range<uint8_t>(value)) return "is outside 0-255 (feature-type is u8)";
  }
  *out = static_cast<char>(static_cast<uint8_t>(value));
  return nullptr;
}

template <typename T>
const char* ToSingle(T value, char* out) {
  const auto single = static_cast<float>(value);
  if constexpr (std::is_integral_v<T>) {
    // 128 bits hold what 2^64 - 1 rounds up to.
    if (static_cast<__int128>(single) != static_cast<__int128>(value)) {
      return "is not exact in float32: save it as float64 if rounding does no harm";
    }
  }
  // A real is rounded once, to nearest, as array.astype('float32') does.
  if (!std::isfinite(single)) return "is not a finite number (float32)";
  std::memcpy(out, &single, sizeof single);
  return nullptr;
}

// The place of the first value that is no feature, and why.
struct Fault {
  size_t at = 0;
  const char* reason = nullptr;
  std::string value;
};

template <typename T>
Fault ConvertAll(std::string_view raw, size_t value_bytes, std::string* features) {
  for (size_t i = 0; i < raw.size() / sizeof(T); ++i) {
    T stored;
    std::memcpy(&stored, raw.data() + i * sizeof(T), sizeof(T));
    const auto value = Plain(stored);
    char* const out = features->data() + i * value_bytes;
    const char* reason = value_bytes == 4 ? ToSingle(value, out) : ToByte(value, out);
    if (reason != nullptr) return {i, reason, fmt::format("{}", value)};
  }
  return {};
}

void ToOurOrder(const NpyHeader& header, std::string* raw) {
  static_assert(std::endian::native == std::endian::little);
  if (!header.big_endian) return;
  for (size_t i = 0; i < raw->size(); i += static_cast<size_t>(header.bytes)) {
    std::reverse(raw->begin() + static_cast<std::ptrdiff_t>(i),
                 raw->begin() + static_cast<std::ptrdiff_t>(i) + header.bytes);
  }
}

// As NumPy would index it: the `at`th value of example `example` is "[7, 0, 27]".
std::string Place(const NpyHeader& header, uint64_t example, size_t at) {
  std::vector<uint64_t> index(header.shape.size(), 0);
  for (size_t d = index.size(); d-- > 1;) {
    index[d] = at % header.shape[d];
    at /= header.shape[d];
  }
  index[0] = example;
  return BracketedShape(index);
}

std::vector<uint64_t> ExampleShape(const NpyHeader& header) {
  return {header.shape.begin() + 1, header.shape.end()};
}

Status CheckFeatures(const NpyHeader& header, const std::string& name, const v1::DataTerms& terms) {
  if (header.shape.empty() || header.shape[0] == 0) {
    return InvalidArgument("{}: an array of shape {}: no example in it", name,
                           BracketedShape(header.shape));
  }
  const std::vector<uint64_t> shape = ExampleShape(header);
  if (ShapeFits(shape, terms)) return OkStatus();
  std::string mend = "reshape the array before it is saved";
  // Height, width, channels are Keras's order.
  if (shape.size() == 3 && terms.input_shape_size() == 3 && shape[2] == terms.input_shape(0) &&
      shape[0] == terms.input_shape(1) && shape[1] == terms.input_shape(2)) {
    mend = "channels come first here: save array.transpose(0, 3, 1, 2)";
  }
  return InvalidArgument("{}: an example's shape is {}, but the campaign's input-shape is {}; {}",
                         name, BracketedShape(shape), BracketedShape(terms), mend);
}

Status CheckLabels(const NpyHeader& header, const std::string& name, uint64_t examples,
                   const std::string& features) {
  const std::vector<uint64_t>& shape = header.shape;
  if (header.kind == 'f') {
    return InvalidArgument(
        "{}: labels are real numbers; they must be the numbers of classes, from 0: save "
        "labels.astype('int64')",
        name);
  }
  if (shape.empty() || shape.size() > 2 || (shape.size() == 2 && shape[1] != 1)) {
    return InvalidArgument(
        "{}: labels of shape {}; must be one number an example, [{}]; of a one-hot array save "
        "labels.argmax(axis=1)",
        name, BracketedShape(shape), examples);
  }
  if (shape[0] == examples) return OkStatus();
  return InvalidArgument("{}: {} labels, but {} has {} examples", name, shape[0], features,
                         examples);
}

// The class number, or one that no campaign has.
uint64_t ClassOf(const NpyHeader& header, const std::string& raw, std::string* text) {
  return WithType(header, [&](auto type) -> uint64_t {
    std::memcpy(&type, raw.data(), sizeof type);
    const auto value = Plain(type);
    *text = fmt::format("{}", value);
    if constexpr (std::is_integral_v<std::remove_cv_t<decltype(value)>>) {
      if (std::in_range<uint64_t>(value)) return static_cast<uint64_t>(value);
    }
    return std::numeric_limits<uint64_t>::max();
  });
}

}  // namespace

StatusOr<ExamplesFile> ReadArrays(ByteSource features, ByteSource labels,
                                  const v1::DataTerms& terms, const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(const NpyHeader header, ReadNpyHeader(features));
  CT_ASSIGN_OR_RETURN(const NpyHeader label_header, ReadNpyHeader(labels));
  CT_RETURN_IF_ERROR(CheckFeatures(header, features.name(), terms));
  const uint64_t all = header.shape[0];
  CT_RETURN_IF_ERROR(CheckLabels(label_header, labels.name(), all, features.name()));
  const uint64_t count = options.limit > 0 ? std::min(all, options.limit) : all;

  CT_ASSIGN_OR_RETURN(ExamplesWriter writer, ExamplesWriter::InMemory(terms, features.name()));
  CT_RETURN_IF_ERROR(writer.Expect(count));
  const ExampleFormat format(terms);
  std::string raw(format.features * static_cast<uint64_t>(header.bytes), '\0');
  std::string raw_label(static_cast<size_t>(label_header.bytes), '\0');
  std::string values(format.feature_bytes(), '\0');
  for (uint64_t i = 0; i < count; ++i) {
    CT_RETURN_IF_ERROR(labels.Read(raw_label.data(), raw_label.size()));
    ToOurOrder(label_header, &raw_label);
    std::string text;
    const uint64_t label = ClassOf(label_header, raw_label, &text);
    if (label >= format.classes) {
      return InvalidArgument("{}: {}: label {}, but the campaign has {} classes, 0 to {}",
                             labels.name(), Place(label_header, i, 0), text, format.classes,
                             format.classes - 1);
    }
    CT_RETURN_IF_ERROR(features.Read(raw.data(), raw.size()));
    ToOurOrder(header, &raw);
    const Fault fault = WithType(header, [&](auto type) {
      return ConvertAll<decltype(type)>(raw, format.value_bytes, &values);
    });
    if (fault.reason != nullptr) {
      return InvalidArgument("{}: {}: {} {}", features.name(), Place(header, i, fault.at),
                             fault.value, fault.reason);
    }
    CT_RETURN_IF_ERROR(writer.Append(static_cast<uint32_t>(label), values));
  }
  if (count == all) {
    CT_RETURN_IF_ERROR(features.ExpectEnd());
    CT_RETURN_IF_ERROR(labels.ExpectEnd());
  }
  return std::move(writer).Finish();
}

StatusOr<ExamplesFile> ReadNpy(const std::string& features_path, const std::string& labels_path,
                               const v1::DataTerms& terms, const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(ByteSource features, ByteSource::Open(features_path));
  CT_ASSIGN_OR_RETURN(ByteSource labels, ByteSource::Open(labels_path));
  return ReadArrays(std::move(features), std::move(labels), terms, options);
}

StatusOr<ExamplesFile> ParseNpy(std::string_view features, std::string_view labels,
                                const v1::DataTerms& terms, const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(ByteSource feature_source, ByteSource::FromMemory(features, "features"));
  CT_ASSIGN_OR_RETURN(ByteSource label_source, ByteSource::FromMemory(labels, "labels"));
  return ReadArrays(std::move(feature_source), std::move(label_source), terms, options);
}

}  // namespace crowdteach::learning
