#include "learning/data/memory.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

#include "proto/base/file.h"

namespace crowdteach::learning {
namespace {

constexpr uint64_t kUnknown = std::numeric_limits<uint64_t>::max();
constexpr size_t kMaxProcBytes = size_t{64} << 10;

std::string ReadOrNothing(const std::string& path) {
  StatusOr<std::string> text = base::ReadFile(path, kMaxProcBytes);
  return text.ok() ? *std::move(text) : std::string();
}

// The number at the start of `text`, behind spaces.
uint64_t Number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : kUnknown;
}

// The number behind "\n‹key› ", or 0.
uint64_t Field(std::string_view stat, const std::string& key) {
  const std::string line = "\n" + key + " ";
  const size_t at = stat.find(line);
  const uint64_t value = at == stat.npos ? kUnknown : Number(stat.substr(at + line.size()));
  return value == kUnknown ? 0 : value;
}

}  // namespace

uint64_t AvailableBytes(std::string_view meminfo) {
  constexpr std::string_view kKey = "MemAvailable:";
  const size_t at = meminfo.find(kKey);
  if (at == std::string_view::npos) return kUnknown;
  const uint64_t kib = Number(meminfo.substr(at + kKey.size()));
  return kib > kUnknown / 1024 ? kUnknown : kib * 1024;
}

uint64_t GroupBytes(std::string_view most, std::string_view used, std::string_view stat) {
  const uint64_t limit = Number(most);
  const uint64_t taken = Number(used);
  if (limit == kUnknown || taken == kUnknown) return kUnknown;
  const uint64_t cached = Field(stat, "active_file") + Field(stat, "inactive_file");
  return limit - std::min(limit, taken - std::min(taken, cached));
}

uint64_t FreeMemoryBytes() {
  const std::string group = "/sys/fs/cgroup/memory.";
  return std::min(AvailableBytes(ReadOrNothing("/proc/meminfo")),
                  GroupBytes(ReadOrNothing(group + "max"), ReadOrNothing(group + "current"),
                             ReadOrNothing(group + "stat")));
}

}  // namespace crowdteach::learning
