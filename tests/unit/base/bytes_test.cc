#include "proto/base/bytes.h"

#include "tests/support/catch.h"

namespace crowdteach::base {

TEST_CASE("hex goes both ways and refuses what is not hex") {
  REQUIRE(Hex(std::string_view("\x00\xff\x1a", 3)) == "00ff1a");
  REQUIRE(*ParseHex("00ff1a") == std::string("\x00\xff\x1a", 3));
  REQUIRE_FALSE(ParseHex("0").ok());
  REQUIRE_FALSE(ParseHex("0G").ok());
  REQUIRE_FALSE(ParseHex("AB").ok());
}

TEST_CASE("base64 matches RFC 4648 section 10") {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    REQUIRE(Base64(plain) == coded);
    REQUIRE(*ParseBase64(coded) == plain);
  }
}

TEST_CASE("base64 is strict") {
  for (const char* bad :
       {"Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9v\n"}) {
    INFO(bad);
    REQUIRE_FALSE(ParseBase64(bad).ok());
  }
}

TEST_CASE("integers are big-endian") {
  std::string out;
  AppendU16(out, 0x0102);
  AppendU32(out, 0x03040506);
  AppendU64(out, 0x0708090a0b0c0d0e);
  REQUIRE(Hex(out) == "0102030405060708090a0b0c0d0e");
  REQUIRE(ReadU16(out.data()) == 0x0102);
  REQUIRE(ReadU32(out.data() + 2) == 0x03040506);
  REQUIRE(ReadU64(out.data() + 6) == 0x0708090a0b0c0d0e);
}

}  // namespace crowdteach::base
