#include "learning/model/argument_reader.h"

#include <cmath>

namespace crowdteach::learning {

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

bool ArgumentReader::ToInteger(std::string_view key, const toml::node& node, uint64_t minimum,
                               uint64_t& value) {
  const auto* integer = node.as_integer();
  if (integer == nullptr) {
    Fail(key, "must be an integer");
    return false;
  }
  const int64_t number = integer->get();
  if (number < 0 || static_cast<uint64_t>(number) < minimum ||
      static_cast<uint64_t>(number) > kMaxArgument) {
    Fail(key, fmt::format("is {}, but must be {} to {}", number, minimum, kMaxArgument));
    return false;
  }
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

Pair ArgumentReader::RequiredPair(std::string_view key, uint64_t minimum) {
  if (FindRequired(key) == nullptr) return {minimum, minimum};
  return OptionalPair(key, {minimum, minimum}, minimum);
}

Pair ArgumentReader::OptionalPair(std::string_view key, Pair otherwise, uint64_t minimum) {
  const toml::node* node = Find(key);
  if (node == nullptr) return otherwise;
  Pair pair = otherwise;
  if (const toml::array* array = node->as_array(); array == nullptr) {
    if (ToInteger(key, *node, minimum, pair[0])) pair[1] = pair[0];
  } else if (array->size() != 2) {
    Fail(key, "must be an integer or [height, width]");
  } else if (ToInteger(key, *array->get(0), minimum, pair[0])) {
    ToInteger(key, *array->get(1), minimum, pair[1]);
  }
  return pair;
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

std::vector<uint64_t> ArgumentReader::RequiredIntegers(std::string_view key, size_t most) {
  const toml::node* node = FindRequired(key);
  if (node == nullptr) return {};
  const toml::array* array = node->as_array();
  if (array == nullptr || array->empty() || array->size() > most) {
    Fail(key, fmt::format("must be an array of 1 to {} integers", most));
    return {};
  }
  std::vector<uint64_t> values(array->size(), 1);
  for (size_t i = 0; i < values.size(); ++i) ToInteger(key, *array->get(i), 1, values[i]);
  return values;
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
