// Reads the keys of one TOML table strictly: each value has its type and range, and no key is left
// over. The first error sticks; after it every read returns its default, so that a caller reads
// all keys and asks Finish once. Not thread-safe; keeps references to table and name.
#pragma once

#include <toml++/toml.h>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learning/model/layer.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

inline constexpr uint64_t kMaxArgument = (uint64_t{1} << 31) - 1;

// A module's or tensor's name in a state_dict: parts of letters, digits and _, joined by single
// dots. No PyTorch module can be called "training", which is its own flag; "input" is ours.
bool IsModuleName(std::string_view name, size_t most_bytes);

class ArgumentReader {
 public:
  // `where` names the table in messages: "layer 'conv1'".
  ArgumentReader(const toml::table& table, std::string_view where);

  // Integers in [minimum, kMaxArgument].
  uint64_t Required(std::string_view key, uint64_t minimum = 1);
  uint64_t Optional(std::string_view key, uint64_t otherwise, uint64_t minimum = 1);
  // One integer for all axes, or a list of one each.
  template <size_t kAxes>
  Axes<kAxes> RequiredAxes(std::string_view key, uint64_t minimum = 1) {
    if (FindRequired(key) == nullptr) return Every<kAxes>(minimum);
    return OptionalAxes<kAxes>(key, Every<kAxes>(minimum), minimum);
  }
  template <size_t kAxes>
  Axes<kAxes> OptionalAxes(std::string_view key, Axes<kAxes> otherwise, uint64_t minimum = 1) {
    ReadAxes(key, minimum, otherwise);
    return otherwise;
  }
  // Integers in [-kMaxArgument, kMaxArgument].
  int64_t RequiredSigned(std::string_view key);
  int64_t OptionalSigned(std::string_view key, int64_t otherwise);
  bool OptionalBool(std::string_view key, bool otherwise);
  double OptionalFloat(std::string_view key, double otherwise);  // finite
  std::string RequiredString(std::string_view key);
  std::string OptionalString(std::string_view key, std::string_view otherwise);
  // An array of 1 to `most`; with `or_one`, an integer may stand for an array of it alone.
  std::vector<uint64_t> RequiredIntegers(std::string_view key, size_t most, bool or_one = false);
  std::vector<int64_t> RequiredSignedIntegers(std::string_view key, size_t most,
                                              bool or_one = false);
  // Empty if the key is missing; otherwise at least one.
  std::vector<std::string> OptionalStrings(std::string_view key);

  bool Has(std::string_view key) { return Find(key) != nullptr; }

  // Records that the argument's value is not good (key "" = the table itself).
  void Fail(std::string_view key, std::string_view message);
  // Fails for a key that nothing has read.
  void RefuseOthers();
  const Status& status() const { return status_; }

 private:
  const toml::node* Find(std::string_view key);
  const toml::node* FindRequired(std::string_view key);
  bool ToInteger(std::string_view key, const toml::node& node, int64_t minimum, int64_t& value);
  bool ToInteger(std::string_view key, const toml::node& node, uint64_t minimum, uint64_t& value);
  void ReadAxes(std::string_view key, uint64_t minimum, std::span<uint64_t> axes);
  template <typename Integer>
  std::vector<Integer> RequiredList(std::string_view key, size_t most, bool or_one,
                                    Integer minimum);

  const toml::table& table_;
  std::string_view where_;
  std::set<std::string, std::less<>> read_;
  Status status_;
};

}  // namespace crowdteach::learning
