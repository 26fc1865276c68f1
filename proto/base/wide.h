// Wide integers as the ledger writes them: minimal two's-complement big-endian bytes, empty = 0.
// Every value has exactly one encoding of at most 16 bytes. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::base {

using Int128 = __int128;
using UInt128 = unsigned __int128;

std::string EncodeWide(Int128 value);

// kInvalidArgument: longer than 16 bytes, or not the shortest encoding of its value (a single zero
// byte included: zero is the empty string).
StatusOr<Int128> DecodeWide(std::string_view bytes);

// Decimal, for messages and tables (the standard library prints no 128-bit integers).
std::string WideToDecimal(Int128 value);

}  // namespace crowdteach::base
