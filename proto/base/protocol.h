// Protocol versions. Each side of a connection says the newest version it speaks and the oldest it
// still speaks; they understand each other if some version is between both.
//
// The version changes only when an old program would misunderstand a new one. New calls, notices
// and fields do not change it: who does not know them leaves them alone.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::base {

inline constexpr uint32_t kNewestProtocol = 1;
inline constexpr uint32_t kOldestProtocol = 1;

struct Speaker {
  std::string program;  // "crowdteach 0.1.0": told to people, cut to 80 printable characters
  uint32_t newest = kNewestProtocol;
  uint32_t oldest = kOldestProtocol;  // 0: not said, speaks `newest` alone
};

// kFailedPrecondition: no version in common. The message names both programs and their versions
// and says which to upgrade.
Status CheckCompatible(const Speaker& client, const Speaker& coordinator);

// How it stands in an HTTP header of this name: "1-1 crowdteachd 0.1.0".
inline constexpr char kProtocolHeader[] = "Crowdteach-Protocol";
std::string FormatSpeaker(const Speaker& speaker);
std::optional<Speaker> ParseSpeaker(std::string_view text);  // none: not such a header

}  // namespace crowdteach::base
