// The version of what programs say to each other (coordinator.proto), on every port.
#pragma once

#include <cstdint>

namespace crowdteach {

inline constexpr uint32_t kProtocolVersion = 1;

}  // namespace crowdteach
