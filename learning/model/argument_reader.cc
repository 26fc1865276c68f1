#include "learning/model/argument_reader.h"

#include <algorithm>
#include <cmath>

namespace crowdteach::learning {

bool IsModuleName(std::string_view name, size_t most_bytes) {
  if (name.empty() || name.size() > most_bytes || name == "input") return false;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    const bool is_word = std::all_of(part.begin(), part.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (part.empty() || !is_word || part == "training") return false;
    begin = end + 1;
  }
  return true;
}

ArgumentReader::ArgumentReader(const toml::table& table, std::string_view where)
    : table_(table), where_(where) {}

void ArgumentReader::Fail(std::string_view key, std::string_view message) {
  if (!status_.ok()) return;
  const toml::node* node = key.empty() ? nullptr : table_.get(key);
  const auto line = (node == nullptr ? table_.source() : node->source()).begin.line;
  status_ = InvalidArgument("model.toml:{}: {}: {}{}{}", line, where_, key, key.empty() ? "" : " ",
                            message);
}

const toml::node* ArgumentReader::Find(std::string_view key) {
  read_.emplace(key);
  return status_.ok() ? table_.get(key) : nullptr;
}

const toml::node* ArgumentReader::FindRequired(std::string_view key) {
  const toml::node* node = Find(key);
  if (node == nullptr) Fail(key, "is missing");
  return node;
}

bool ArgumentReader::ToInteger(std::string_view key, const toml::node& node, int64_t minimum,
                               int64_t& value) {
  const auto* integer = node.as_integer();
  if (integer == nullptr) {
    Fail(key, "must be an integer");
    return false;
  }
  const int64_t number = integer->get();
  if (number < minimum || number > static_cast<int64_t>(kMaxArgument)) {
    Fail(key, fmt::format("is {}, but must be {} to {}", number, minimum, kMaxArgument));
    return false;
  }
  value = number;
  return true;
}

bool ArgumentReader::ToInteger(std::string_view key, const toml::node& node, uint64_t minimum,
                               uint64_t& value) {
  int64_t number = 0;
  if (!ToInteger(key, node, static_cast<int64_t>(minimum), number)) return false;
  value = static_cast<uint64_t>(number);
  return true;
}

uint64_t ArgumentReader::Required(std::string_view key, uint64_t minimum) {
  const toml::node* node = FindRequired(key);
  uint64_t value = minimum;
  if (node != nullptr) ToInteger(key, *node, minimum, value);
  return value;
}

uint64_t ArgumentReader::Optional(std::string_view key, uint64_t otherwise, uint64_t minimum) {
  const toml::node* node = Find(key);
  uint64_t value = otherwise;
  if (node != nullptr) ToInteger(key, *node, minimum, value);
  return value;
}

int64_t ArgumentReader::RequiredSigned(std::string_view key) {
  if (FindRequired(key) == nullptr) return 0;
  return OptionalSigned(key, 0);
}

int64_t ArgumentReader::OptionalSigned(std::string_view key, int64_t otherwise) {
  const toml::node* node = Find(key);
  int64_t value = otherwise;
  if (node != nullptr) ToInteger(key, *node, -static_cast<int64_t>(kMaxArgument), value);
  return value;
}

void ArgumentReader::ReadAxes(std::string_view key, uint64_t minimum, std::span<uint64_t> axes) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    if (ToInteger(key, *node, minimum, axes[0])) std::fill(axes.begin(), axes.end(), axes[0]);
    return;
  }
  if (array->size() != axes.size()) {
    Fail(key, axes.size() == 1 ? "must be an integer" : "must be an integer or [height, width]");
    return;
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    if (!ToInteger(key, *array->get(i), minimum, axes[i])) return;
  }
}

bool ArgumentReader::OptionalBool(std::string_view key, bool otherwise) {
  const toml::node* node = Find(key);
  if (node == nullptr) return otherwise;
  if (const auto* value = node->as_boolean()) return value->get();
  Fail(key, "must be true or false");
  return otherwise;
}

double ArgumentReader::OptionalFloat(std::string_view key, double otherwise) {
  const toml::node* node = Find(key);
  if (node == nullptr) return otherwise;
  const std::optional<double> value = node->value<double>();
  if (node->is_number() && value && std::isfinite(*value)) return *value;
  Fail(key, "must be a finite number");
  return otherwise;
}

std::string ArgumentReader::RequiredString(std::string_view key) {
  if (FindRequired(key) == nullptr) return "";
  return OptionalString(key, "");
}

std::string ArgumentReader::OptionalString(std::string_view key, std::string_view otherwise) {
  const toml::node* node = Find(key);
  if (node == nullptr) return std::string(otherwise);
  if (const auto* value = node->as_string()) return value->get();
  Fail(key, "must be a string");
  return std::string(otherwise);
}

template <typename Integer>
std::vector<Integer> ArgumentReader::RequiredList(std::string_view key, size_t most, bool or_one,
                                                  Integer minimum) {
  const toml::node* node = FindRequired(key);
  if (node == nullptr) return {};
  std::vector<Integer> values(1, minimum);
  const toml::array* array = node->as_array();
  if (or_one && node->is_integer()) {
    ToInteger(key, *node, minimum, values[0]);
    return values;
  }
  if (array == nullptr || array->empty() || array->size() > most) {
    Fail(key, fmt::format("must be an array of 1 to {} integers", most));
    return {};
  }
  values.resize(array->size(), minimum);
  for (size_t i = 0; i < values.size(); ++i) ToInteger(key, *array->get(i), minimum, values[i]);
  return values;
}

std::vector<uint64_t> ArgumentReader::RequiredIntegers(std::string_view key, size_t most,
                                                       bool or_one) {
  return RequiredList<uint64_t>(key, most, or_one, 1);
}

std::vector<int64_t> ArgumentReader::RequiredSignedIntegers(std::string_view key, size_t most,
                                                            bool or_one) {
  return RequiredList<int64_t>(key, most, or_one, -static_cast<int64_t>(kMaxArgument));
}

std::vector<std::string> ArgumentReader::OptionalStrings(std::string_view key) {
  const toml::node* node = Find(key);
  if (node == nullptr) return {};
  const toml::array* array = node->as_array();
  if (array == nullptr || array->empty() || !array->is_homogeneous<std::string>()) {
    Fail(key, "must be an array of names");
    return {};
  }
  std::vector<std::string> values;
  for (const toml::node& item : *array) values.push_back(item.as_string()->get());
  return values;
}

void ArgumentReader::RefuseOthers() {
  for (const auto& [key, node] : table_) {
    if (read_.find(key.str()) != read_.end()) continue;
    Fail(std::string_view(key.str()),
         fmt::format("is not known here; known are {}", fmt::join(read_, ", ")));
  }
}

}  // namespace crowdteach::learning
