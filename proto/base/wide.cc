#include "proto/base/wide.h"

#include <algorithm>
#include <cstdint>

namespace crowdteach::base {
namespace {

constexpr size_t kMaxBytes = 16;

// The leading byte says nothing that the sign bit of the next one does not say already.
bool IsRedundant(uint8_t first, uint8_t second) {
  return (first == 0x00 && second < 0x80) || (first == 0xff && second >= 0x80);
}

}  // namespace

std::string EncodeWide(Int128 value) {
  if (value == 0) return {};
  const auto bits = static_cast<UInt128>(value);
  std::string bytes(kMaxBytes, '\0');
  for (size_t i = 0; i < kMaxBytes; ++i) {
    bytes[i] = static_cast<char>(static_cast<uint8_t>(bits >> (8 * (kMaxBytes - 1 - i))));
  }
  size_t begin = 0;
  while (begin + 1 < kMaxBytes &&
         IsRedundant(static_cast<uint8_t>(bytes[begin]), static_cast<uint8_t>(bytes[begin + 1]))) {
    ++begin;
  }
  return bytes.substr(begin);
}

StatusOr<Int128> DecodeWide(std::string_view bytes) {
  if (bytes.empty()) return Int128{0};
  if (bytes.size() > kMaxBytes) {
    return InvalidArgument("a wide integer has at most {} bytes, not {}", kMaxBytes, bytes.size());
  }
  const auto first = static_cast<uint8_t>(bytes[0]);
  const bool minimal =
      bytes.size() == 1 ? first != 0 : !IsRedundant(first, static_cast<uint8_t>(bytes[1]));
  if (!minimal) return InvalidArgument("a wide integer of {} bytes is not minimal", bytes.size());
  UInt128 bits = first >= 0x80 ? ~UInt128{0} : 0;
  for (const char byte : bytes) bits = (bits << 8) | static_cast<uint8_t>(byte);
  return static_cast<Int128>(bits);
}

std::string WideToDecimal(Int128 value) {
  const bool negative = value < 0;
  UInt128 rest = negative ? ~static_cast<UInt128>(value) + 1 : static_cast<UInt128>(value);
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest != 0);
  if (negative) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace crowdteach::base
