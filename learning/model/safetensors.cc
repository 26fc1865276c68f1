#include "learning/model/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "learning/model/layer.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxDimensions = 8;

// A name from a foreign file, fit for a message.
std::string Quoted(std::string_view name) {
  std::string text = "'";
  for (const char c : name.substr(0, 80)) text += c >= 0x20 && c < 0x7f ? c : '?';
  return text + (name.size() > 80 ? "…'" : "'");
}

// Takes the header apart while it is parsed, so that nothing is built but the tensors. It accepts
//   { "‹name›": {"dtype": "F32", "shape": [unsigned…], "data_offsets": [begin, end]}, …,
//     "__metadata__": {"‹key›": "‹string›", …} }
// and nothing else. Every handler returns false to stop; `error` then says why.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<StoredTensor> tensors;
  std::string error;

  bool null() override { return Refuse("a null"); }
  bool boolean(bool) override { return Refuse("a boolean"); }
  bool number_integer(number_integer_t) override { return Refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return Refuse("a fraction"); }
  bool binary(binary_t&) override { return Refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) return Refuse("a number");
    if (numbers_.size() == kMaxDimensions) return Refuse("too long an array");
    numbers_.push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) return true;
    if (depth_ != 2 || in_array_ || field_ != "dtype") return Refuse("a string");
    if (value == "F32") return true;
    error = fmt::format("tensor {} has dtype {}, but only F32 is supported",
                        Quoted(tensors.back().name), Quoted(value));
    return false;
  }

  bool start_object(std::size_t) override {
    if (in_array_ || depth_ == 2) return Refuse("an object");
    ++depth_;
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ == 2) return in_metadata_ || StartField(name);
    in_metadata_ = name == "__metadata__";
    if (!in_metadata_) {
      tensors.push_back({name, {}, 0, 0});
    } else if (std::exchange(had_metadata_, true)) {
      error = "__metadata__ stands there twice";
      return false;
    }
    has_dtype_ = has_shape_ = has_offsets_ = false;
    return true;
  }

  bool end_object() override {
    --depth_;
    if (depth_ == 0 || in_metadata_ || (has_dtype_ && has_shape_ && has_offsets_)) return true;
    error =
        fmt::format("tensor {} needs dtype, shape and data_offsets", Quoted(tensors.back().name));
    return false;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || in_array_ || field_ == "dtype") return Refuse("an array");
    in_array_ = true;
    numbers_.clear();
    return true;
  }

  bool end_array() override {
    in_array_ = false;
    StoredTensor& tensor = tensors.back();
    if (field_ == "shape") {
      tensor.shape = numbers_;
      return true;
    }
    if (numbers_.size() != 2) {
      error = fmt::format("tensor {}: data_offsets must be [begin, end]", Quoted(tensor.name));
      return false;
    }
    tensor.begin_bytes = numbers_[0];
    tensor.end_bytes = numbers_[1];
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    error = fmt::format("malformed JSON at byte {}", kLengthBytes + position);
    return false;
  }

 private:
  bool Refuse(std::string_view what) {
    error = fmt::format("{} where the format has none{}", what,
                        tensors.empty()
                            ? ""
                            : fmt::format(" (in or after tensor {})", Quoted(tensors.back().name)));
    return false;
  }

  bool StartField(const std::string& name) {
    bool* seen = name == "dtype"          ? &has_dtype_
                 : name == "shape"        ? &has_shape_
                 : name == "data_offsets" ? &has_offsets_
                                          : nullptr;
    if (seen == nullptr || std::exchange(*seen, true)) {
      error = fmt::format("tensor {} has {} key {}", Quoted(tensors.back().name),
                          seen == nullptr ? "an unknown" : "twice the", Quoted(name));
      return false;
    }
    field_ = name;
    return true;
  }

  int depth_ = 0;  // of objects
  bool in_array_ = false;
  bool in_metadata_ = false, had_metadata_ = false;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  std::string field_;
  std::vector<uint64_t> numbers_;
};

// The tensors' sizes follow from their shapes, and together they tile the data.
Status CheckExtents(const std::vector<StoredTensor>& tensors, uint64_t data_bytes) {
  std::vector<const StoredTensor*> by_offset;
  for (const StoredTensor& tensor : tensors) {
    const uint64_t bytes = SaturatingMultiply(sizeof(float), ElementCount(tensor.shape));
    if (tensor.end_bytes < tensor.begin_bytes || tensor.end_bytes > data_bytes ||
        tensor.end_bytes - tensor.begin_bytes != bytes) {
      return InvalidArgument(
          "safetensors: tensor {} of shape {} has data_offsets [{}, {}] in {} bytes of data",
          Quoted(tensor.name), ShapeText(tensor.shape), tensor.begin_bytes, tensor.end_bytes,
          data_bytes);
    }
    by_offset.push_back(&tensor);
  }
  std::sort(by_offset.begin(), by_offset.end(), [](const auto* a, const auto* b) {
    return std::pair(a->begin_bytes, a->end_bytes) < std::pair(b->begin_bytes, b->end_bytes);
  });
  uint64_t end_bytes = 0;
  for (const StoredTensor* tensor : by_offset) {
    if (tensor->begin_bytes != end_bytes) {
      return InvalidArgument("safetensors: {} before tensor {}, which begins at {} and not at {}",
                             tensor->begin_bytes < end_bytes ? "an overlap" : "a gap",
                             Quoted(tensor->name), tensor->begin_bytes, end_bytes);
    }
    end_bytes = tensor->end_bytes;
  }
  if (end_bytes != data_bytes) {
    return InvalidArgument("safetensors: {} bytes after the last tensor", data_bytes - end_bytes);
  }
  return OkStatus();
}

}  // namespace

std::string CanonicalHeader(const Layout& layout) {
  std::string json = "{";
  const std::string* previous = nullptr;
  for (const Tensor& tensor : layout.tensors) {
    CT_ASSERT(previous == nullptr || *previous < tensor.name);
    previous = &tensor.name;
    if (json.size() > 1) json += ',';
    // The names of a ModelSpec need no escapes; dump() writes any other as JSON does.
    json += fmt::format(
        R"({}:{{"data_offsets":[{},{}],"dtype":"F32","shape":[{}]}})",
        nlohmann::json(tensor.name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
        sizeof(float) * tensor.offset, sizeof(float) * (tensor.offset + tensor.count),
        fmt::join(tensor.shape, ","));
  }
  json += '}';
  json.append(-json.size() % 8, ' ');
  const uint64_t length = json.size();
  std::string header(kLengthBytes, '\0');
  std::memcpy(header.data(), &length, kLengthBytes);
  return header + json;
}

uint64_t CanonicalSizeBytes(const Layout& layout) {
  return CanonicalHeader(layout).size() + sizeof(float) * layout.total;
}

StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view start,
                                                   uint64_t file_size_bytes) {
  if (start.size() < kLengthBytes) {
    return InvalidArgument("safetensors: {} bytes are no header", start.size());
  }
  uint64_t length = 0;
  std::memcpy(&length, start.data(), kLengthBytes);
  if (length > kMaxSafetensorsHeaderBytes || length > start.size() - kLengthBytes ||
      length > file_size_bytes - std::min<uint64_t>(file_size_bytes, kLengthBytes)) {
    return InvalidArgument(
        "safetensors: the first 8 bytes tell of a header of {} bytes, in a file of {} (at most {} "
        "are allowed)",
        length, file_size_bytes, kMaxSafetensorsHeaderBytes);
  }
  const std::string_view json = start.substr(kLengthBytes, length);
  if (json.empty() || json.front() != '{') {
    return InvalidArgument("safetensors: the header does not begin with {{");
  }
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader)) {
    return InvalidArgument("safetensors: {}", reader.error);
  }
  SafetensorsHeader header{kLengthBytes + length, std::move(reader.tensors)};
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(
      header.tensors.begin(), header.tensors.end(),
      [](const StoredTensor& a, const StoredTensor& b) { return a.name == b.name; });
  if (twice != header.tensors.end()) {
    return InvalidArgument("safetensors: tensor {} stands there twice", Quoted(twice->name));
  }
  CT_RETURN_IF_ERROR(CheckExtents(header.tensors, file_size_bytes - header.data_offset));
  return header;
}

Status CheckTensors(const SafetensorsHeader& header, const Layout& layout) {
  auto stored = header.tensors.begin();
  for (const Tensor& tensor : layout.tensors) {
    if (stored == header.tensors.end() || stored->name > tensor.name) {
      return InvalidArgument("safetensors: tensor {} of the model is missing", Quoted(tensor.name));
    }
    if (stored->name < tensor.name) break;
    if (stored->shape != tensor.shape) {
      return InvalidArgument("safetensors: tensor {} has shape {}, but the model needs {}",
                             Quoted(tensor.name), ShapeText(stored->shape),
                             ShapeText(tensor.shape));
    }
    ++stored;
  }
  if (stored != header.tensors.end()) {
    return InvalidArgument("safetensors: tensor {} is not in the model", Quoted(stored->name));
  }
  return OkStatus();
}

}  // namespace crowdteach::learning
