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

std::string ReadOrNothing(const char* path) {
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

uint64_t LeftInGroup() {
  const uint64_t most = Number(ReadOrNothing("/sys/fs/cgroup/memory.max"));
  const uint64_t used = Number(ReadOrNothing("/sys/fs/cgroup/memory.current"));
  return most == kUnknown || used == kUnknown ? kUnknown : most - std::min(most, used);
}

}  // namespace

uint64_t AvailableBytes(std::string_view meminfo) {
  constexpr std::string_view kKey = "MemAvailable:";
  const size_t at = meminfo.find(kKey);
  if (at == std::string_view::npos) return kUnknown;
  const uint64_t kib = Number(meminfo.substr(at + kKey.size()));
  return kib > kUnknown / 1024 ? kUnknown : kib * 1024;
}

uint64_t FreeMemoryBytes() {
  return std::min(AvailableBytes(ReadOrNothing("/proc/meminfo")), LeftInGroup());
}

}  // namespace crowdteach::learning
