#include "client/toml_reader.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "client/campaign_toml.h"
#include "proto/base/bytes.h"
#include "proto/base/toml_text.h"

namespace crowdteach::client {
namespace {

constexpr double kNanoUnit = 1e9;
// Up to here n / 1e9 in double tells neighbouring n apart.
constexpr double kMaxReal = 9e6;

bool IsKeyCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

StatusOr<toml::table> ParseToml(std::string_view text, const std::string& name) {
  CT_ASSIGN_OR_RETURN(const std::string ascii, base::AsciiToml(text, name));
  // The library reports by exception; it stops here.
  try {
    return toml::parse(ascii, name);
  } catch (const toml::parse_error& error) {
    return InvalidArgument("{}:{}: {}", name, error.source().begin.line,
                           std::string(error.description()));
  }
}

// The value of "key=value": TOML, else the text itself.
void Assign(toml::table& table, const std::string& key, const std::string& text) {
  if (text.find('\n') == std::string::npos) {
    auto parsed = ParseToml("x = " + text, "");
    if (parsed.ok() && parsed->size() == 1 && parsed->contains("x")) {
      table.insert_or_assign(key, std::move(*parsed->get("x")));
      return;
    }
  }
  table.insert_or_assign(key, text);
}

Status Override(toml::table& root, const std::string& set, std::set<std::string>* keys) {
  const size_t equals = set.find('=');
  const std::string key = set.substr(0, equals);
  if (equals == std::string::npos || key.empty() ||
      !std::all_of(key.begin(), key.end(), IsKeyCharacter)) {
    return InvalidArgument("--set {}: must be KEY=VALUE, such as rounds=3 or local.steps=20",
                           base::Quoted(set));
  }
  toml::table* table = &root;
  size_t begin = 0;
  for (size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', begin)) {
    const std::string part = key.substr(begin, dot - begin);
    toml::node& node = table->insert(part, toml::table()).first->second;
    if (!node.is_table()) return InvalidArgument("--set {}: {} is not a table", key, part);
    table = node.as_table();
    begin = dot + 1;
  }
  Assign(*table, key.substr(begin), set.substr(equals + 1));
  keys->insert(key);
  return OkStatus();
}

}  // namespace

struct TomlReader::Impl {
  std::string name;
  toml::table root;
  std::set<std::string> overridden;
  std::set<std::string, std::less<>> asked;

  const toml::node* Find(std::string_view key) const {
    const toml::table* table = &root;
    for (size_t dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.')) {
      const toml::node* node = table->get(key.substr(0, dot));
      if (node == nullptr || !node->is_table()) return nullptr;
      table = node->as_table();
      key.remove_prefix(dot + 1);
    }
    return table->get(key);
  }
};

TomlReader::TomlReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TomlReader::TomlReader(TomlReader&&) noexcept = default;
TomlReader::~TomlReader() = default;

StatusOr<TomlReader> TomlReader::Parse(std::string_view text, const std::string& name,
                                       const std::vector<std::string>& sets) {
  auto impl = std::make_unique<Impl>();
  impl->name = name;
  CT_ASSIGN_OR_RETURN(impl->root, ParseToml(text, name));
  for (const std::string& set : sets) {
    CT_RETURN_IF_ERROR(Override(impl->root, set, &impl->overridden));
  }
  return TomlReader(std::move(impl));
}

bool TomlReader::Has(std::string_view key) const { return impl_->Find(key) != nullptr; }

std::string TomlReader::Place(std::string_view key) const {
  if (impl_->overridden.count(std::string(key)) > 0) return fmt::format("--set {}", key);
  const toml::node* node = impl_->Find(key);
  if (node == nullptr || node->source().begin.line == 0) return impl_->name;
  return fmt::format("{}:{}", impl_->name, node->source().begin.line);
}

Status TomlReader::Error(std::string_view key, std::string_view what) const {
  return InvalidArgument("{}: {}: {}", Place(key), key, what);
}

Status TomlReader::NotAmong(std::string_view key, const std::string& text,
                            const std::string& list) const {
  return Error(key, fmt::format("{} is not known; must be {}", base::Quoted(text), list));
}

namespace {

// What a node holds, read as T, or why it cannot be.
template <typename T>
struct Read {
  std::optional<T> value;
  std::string problem;
};

Read<std::string> AsString(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return {*text, ""};
  return {{}, "must be text in quotes"};
}

Read<uint64_t> AsInteger(const toml::node& node) {
  const auto value = node.value_exact<int64_t>();
  if (!value) return {{}, "must be a whole number"};
  if (*value < 0) return {{}, fmt::format("{} must not be negative", *value)};
  return {static_cast<uint64_t>(*value), ""};
}

// Exact: a double is taken only where it is the one nearest to a number of at most 9 decimals.
Read<int64_t> AsNano(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) {
    const StatusOr<int64_t> nano = ParseNano(*text);
    if (!nano.ok()) return {{}, Message(nano.status())};
    return {*nano, ""};
  }
  if (const auto whole = node.value_exact<int64_t>()) {
    if (*whole > 9'000'000'000 || *whole < -9'000'000'000) {
      return {{}, "must be within ±9000000000"};
    }
    return {*whole * 1'000'000'000, ""};
  }
  const auto real = node.value_exact<double>();
  if (!real) return {{}, "must be a number"};
  if (!(std::fabs(*real) <= kMaxReal)) {
    return {{}, "must be within ±9000000, or a whole number, or decimal text in quotes"};
  }
  const auto nano = static_cast<int64_t>(std::llround(*real * kNanoUnit));
  if (static_cast<double>(nano) / kNanoUnit != *real) {
    return {{}, "must have at most 9 decimals: it is recorded exactly"};
  }
  return {nano, ""};
}

}  // namespace

StatusOr<std::string> TomlReader::String(std::string_view key,
                                         std::optional<std::string> otherwise) {
  impl_->asked.emplace(key);
  const toml::node* node = impl_->Find(key);
  if (node == nullptr && otherwise) return *otherwise;
  if (node == nullptr) return Error(key, "is missing; it is required");
  const auto [value, problem] = AsString(*node);
  if (!value) return Error(key, problem);
  return *value;
}

StatusOr<bool> TomlReader::Boolean(std::string_view key, bool otherwise) {
  impl_->asked.emplace(key);
  const toml::node* node = impl_->Find(key);
  if (node == nullptr) return otherwise;
  const auto value = node->value_exact<bool>();
  if (!value) return Error(key, "must be true or false");
  return *value;
}

StatusOr<uint64_t> TomlReader::Integer(std::string_view key, std::optional<uint64_t> otherwise) {
  impl_->asked.emplace(key);
  const toml::node* node = impl_->Find(key);
  if (node == nullptr && otherwise) return *otherwise;
  if (node == nullptr) return Error(key, "is missing; it is required");
  const auto [value, problem] = AsInteger(*node);
  if (!value) return Error(key, problem);
  return *value;
}

StatusOr<uint32_t> TomlReader::Small(std::string_view key, std::optional<uint32_t> otherwise) {
  CT_ASSIGN_OR_RETURN(const uint64_t value, Integer(key, otherwise));
  if (value > std::numeric_limits<uint32_t>::max()) {
    return Error(key, fmt::format("{} is too large", value));
  }
  return static_cast<uint32_t>(value);
}

StatusOr<uint64_t> TomlReader::Nano(std::string_view key, std::optional<uint64_t> otherwise) {
  impl_->asked.emplace(key);
  const toml::node* node = impl_->Find(key);
  if (node == nullptr && otherwise) return *otherwise;
  if (node == nullptr) return Error(key, "is missing; it is required");
  const auto [value, problem] = AsNano(*node);
  if (!value) return Error(key, problem);
  if (*value < 0) return Error(key, "must not be negative");
  return static_cast<uint64_t>(*value);
}

StatusOr<std::vector<int64_t>> TomlReader::Nanos(std::string_view key, int64_t otherwise) {
  impl_->asked.emplace(key);
  const toml::node* node = impl_->Find(key);
  if (node == nullptr) return std::vector<int64_t>{otherwise};
  std::vector<int64_t> values;
  const auto add = [&](const toml::node& item) -> Status {
    const auto [value, problem] = AsNano(item);
    if (!value) return Error(key, problem);
    values.push_back(*value);
    return OkStatus();
  };
  if (!node->is_array()) {
    CT_RETURN_IF_ERROR(add(*node));
    return values;
  }
  for (const toml::node& item : *node->as_array()) CT_RETURN_IF_ERROR(add(item));
  return values;
}

StatusOr<uint64_t> TomlReader::DurationMs(std::string_view key, const std::string& otherwise) {
  CT_ASSIGN_OR_RETURN(const std::string text, String(key, otherwise));
  const StatusOr<uint64_t> value = ParseDurationMs(text);
  if (!value.ok()) return Error(key, Message(value.status()));
  return *value;
}

StatusOr<std::vector<uint64_t>> TomlReader::Integers(std::string_view key) {
  impl_->asked.emplace(key);
  const toml::node* node = impl_->Find(key);
  if (node == nullptr) return Error(key, "is missing; it is required");
  if (!node->is_array()) return Error(key, "must be a list of whole numbers");
  std::vector<uint64_t> values;
  for (const toml::node& item : *node->as_array()) {
    const auto [value, problem] = AsInteger(item);
    if (!value) return Error(key, problem);
    values.push_back(*value);
  }
  return values;
}

StatusOr<std::vector<std::string>> TomlReader::Strings(std::string_view key) {
  impl_->asked.emplace(key);
  const toml::node* node = impl_->Find(key);
  if (node == nullptr) return Error(key, "is missing; it is required");
  if (!node->is_array()) return Error(key, "must be a list of texts in quotes");
  std::vector<std::string> values;
  for (const toml::node& item : *node->as_array()) {
    const auto [value, problem] = AsString(item);
    if (!value) return Error(key, problem);
    values.push_back(*value);
  }
  return values;
}

Status TomlReader::ExpectAllRead() const {
  // Depth one is enough: a campaign's tables hold values only.
  const auto check = [&](const std::string& prefix, const toml::table& table) -> Status {
    for (const auto& [name, node] : table) {
      const std::string text(name.str());
      const std::string key = prefix + text;
      if (text.find('.') == std::string::npos && impl_->asked.count(key) > 0) continue;
      const bool known_table =
          prefix.empty() && node.is_table() &&
          std::any_of(impl_->asked.begin(), impl_->asked.end(), [&](const std::string& asked) {
            return asked.compare(0, key.size() + 1, key + ".") == 0;
          });
      if (known_table) continue;
      std::string known;
      for (const std::string& asked : impl_->asked) {
        if (asked.compare(0, prefix.size(), prefix) != 0) continue;
        if (prefix.empty() && asked.find('.') != std::string::npos) continue;
        known += (known.empty() ? "" : ", ") + asked.substr(prefix.size());
      }
      return InvalidArgument("{}: {}: unknown key; the keys here are {}",
                             text.find('.') == std::string::npos ? Place(key) : impl_->name,
                             base::Quoted(key), known);
    }
    return OkStatus();
  };
  CT_RETURN_IF_ERROR(check("", impl_->root));
  for (const auto& [name, node] : impl_->root) {
    if (!node.is_table()) continue;
    CT_RETURN_IF_ERROR(check(std::string(name.str()) + ".", *node.as_table()));
  }
  return OkStatus();
}

}  // namespace crowdteach::client
