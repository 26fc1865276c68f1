#include "proto/base/wide.h"

#include <random>

#include "tests/support/catch.h"

namespace crowdteach::base {

TEST_CASE("wide integers have the documented bytes") {
  using namespace std::string_literals;
  REQUIRE(EncodeWide(0) == "");
  REQUIRE(EncodeWide(1) == "\x01");
  REQUIRE(EncodeWide(-1) == "\xff");
  REQUIRE(EncodeWide(127) == "\x7f");
  REQUIRE(EncodeWide(128) == "\x00\x80"s);
  REQUIRE(EncodeWide(-128) == "\x80");
  REQUIRE(EncodeWide(-129) == "\xff\x7f");
  REQUIRE(EncodeWide(Int128{1} << 64) == "\x01\0\0\0\0\0\0\0\0"s);
  const Int128 lowest = static_cast<Int128>(UInt128{1} << 127);
  REQUIRE(EncodeWide(lowest) == "\x80" + std::string(15, '\0'));
  REQUIRE(WideToDecimal(lowest) == "-170141183460469231731687303715884105728");
  REQUIRE(WideToDecimal(0) == "0");
  REQUIRE(WideToDecimal(1234) == "1234");
}

TEST_CASE("wide integers of any size come back, in one encoding only") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    const UInt128 bits = (static_cast<UInt128>(random()) << 64) | random();
    const Int128 value = static_cast<Int128>(bits) >> (random() % 128);
    const std::string bytes = EncodeWide(value);
    REQUIRE(*DecodeWide(bytes) == value);
    const char sign = value < 0 ? '\xff' : '\0';
    REQUIRE_FALSE(DecodeWide(sign + bytes).ok());
  }
  // Whatever short string decodes is the encoding of what it decodes to.
  for (int i = 0; i < 65536 + 256; ++i) {
    const std::string bytes =
        i < 256 ? std::string(1, static_cast<char>(i))
                : std::string{static_cast<char>((i - 256) >> 8), static_cast<char>(i - 256)};
    const auto value = DecodeWide(bytes);
    if (value.ok()) REQUIRE(EncodeWide(*value) == bytes);
  }
  REQUIRE_FALSE(DecodeWide(std::string(17, '\x01')).ok());
}

}  // namespace crowdteach::base
