// Reads a TOML document key by key, with the place of every key for messages and "key=value"
// overrides. Keys are dotted: "rounds", "data.mean". Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/status.h"

namespace crowdteach::client {

class TomlReader {
 public:
  // kInvalidArgument: "‹name›:‹line›: …", or "--set ‹key›: …".
  static StatusOr<TomlReader> Parse(std::string_view text, const std::string& name,
                                    const std::vector<std::string>& sets);
  TomlReader(TomlReader&&) noexcept;
  ~TomlReader();

  bool Has(std::string_view key) const;
  // "‹name›:‹line›" of the key, "--set ‹key›" of an override, else "‹name›".
  std::string Place(std::string_view key) const;
  // kInvalidArgument "‹place›: ‹key›: ‹what›".
  Status Error(std::string_view key, std::string_view what) const;

  // Each returns the key's value, or the default when the key is absent; without a default the key
  // is required. kInvalidArgument: missing, or of a wrong form.
  StatusOr<std::string> String(std::string_view key, std::optional<std::string> otherwise = {});
  StatusOr<bool> Boolean(std::string_view key, bool otherwise);
  StatusOr<uint64_t> Integer(std::string_view key, std::optional<uint64_t> otherwise = {});
  StatusOr<uint32_t> Small(std::string_view key, std::optional<uint32_t> otherwise = {});
  StatusOr<uint64_t> Nano(std::string_view key, std::optional<uint64_t> otherwise = {});  // >= 0
  StatusOr<std::vector<int64_t>> Nanos(std::string_view key, int64_t otherwise);  // one or a list
  StatusOr<uint64_t> DurationMs(std::string_view key, const std::string& otherwise);
  StatusOr<std::vector<uint64_t>> Integers(std::string_view key);
  StatusOr<std::vector<std::string>> Strings(std::string_view key);

  template <typename E>
  StatusOr<E> Choice(std::string_view key,
                     const std::vector<std::pair<std::string_view, E>>& choices,
                     std::optional<std::string> otherwise = {}) {
    CT_ASSIGN_OR_RETURN(const std::string text, String(key, std::move(otherwise)));
    std::string list;
    for (const auto& [name, value] : choices) {
      if (text == name) return value;
      list += fmt::format("{}\"{}\"", list.empty() ? "" : " or ", name);
    }
    return NotAmong(key, text, list);
  }

  // kInvalidArgument if the document has a key that was never asked for.
  Status ExpectAllRead() const;

 private:
  struct Impl;
  explicit TomlReader(std::unique_ptr<Impl> impl);
  Status NotAmong(std::string_view key, const std::string& text, const std::string& list) const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace crowdteach::client
