#include "ledger/signature.h"

#include <openssl/err.h>
#include <sys/stat.h>

#include <fstream>

#include "proto/base/bytes.h"
#include "tests/unit/ledger/log_fixture.h"

namespace crowdteach::ledger {

using Code = absl::StatusCode;

TEST_CASE("Ed25519 of RFC 8032 section 7.1, test 2") {
  const SigningKey key = Value(SigningKey::FromSeed(
      Value(base::ParseHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))));
  REQUIRE(base::Hex(key.public_key()) ==
          "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const std::string signature = key.Sign("\x72");
  REQUIRE(base::Hex(signature) ==
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
          "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  REQUIRE(Verify(key.public_key(), "\x72", signature));
}

TEST_CASE("DSSE's own example of the pre-authentication encoding") {
  REQUIRE(DssePreAuthentication("http://example.com/HelloWorld", "hello world") ==
          "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

TEST_CASE("a signature holds for its key, type and payload alone") {
  const SigningKey key = SigningKey::Generate();
  const std::string signature = key.SignDsse(kIntentType, "payload");
  REQUIRE(VerifyDsse(key.public_key(), kIntentType, "payload", signature));
  REQUIRE_FALSE(VerifyDsse(key.public_key(), kTokenType, "payload", signature));
  REQUIRE_FALSE(VerifyDsse(key.public_key(), kIntentType, "payloae", signature));
  REQUIRE_FALSE(VerifyDsse(SigningKey::Generate().public_key(), kIntentType, "payload", signature));
  REQUIRE_FALSE(VerifyDsse(key.public_key(), kIntentType, "payload", signature.substr(1)));
  REQUIRE_FALSE(VerifyDsse(key.public_key(), kIntentType, "payload", signature + "x"));
  REQUIRE_FALSE(VerifyDsse("short", kIntentType, "payload", signature));
  REQUIRE_FALSE(VerifyDsse(std::string(32, '\xff'), kIntentType, "payload", signature));
  REQUIRE_FALSE(VerifyDsse(key.public_key(), kIntentType, "payload", ""));
}

TEST_CASE("a refused signature leaves no error for a TLS connection to trip over") {
  REQUIRE_FALSE(Verify(std::string(32, '\xff'), "m", std::string(64, '\xff')));
  REQUIRE_FALSE(Verify(SigningKey::Generate().public_key(), "m", std::string(64, '\xff')));
  REQUIRE(ERR_peek_error() == 0);
}

TEST_CASE("a signature with S beyond the group order is refused") {
  const SigningKey key = Value(SigningKey::FromSeed(std::string(32, 'k')));
  std::string signature = key.Sign("m");
  // S + L, little endian from byte 32: verifies in libraries that do not reduce it.
  const std::string order =
      Value(base::ParseHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"));
  int carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    const int sum = static_cast<unsigned char>(signature[32 + i]) +
                    static_cast<unsigned char>(order[i]) + carry;
    signature[32 + i] = static_cast<char>(sum);
    carry = sum >> 8;
  }
  REQUIRE_FALSE(Verify(key.public_key(), "m", signature));
}

TEST_CASE("key files are the owner's alone and never overwritten") {
  TemporaryFolder folder;
  const std::string path = folder.File("key");
  const SigningKey key = SigningKey::Generate();
  REQUIRE(SigningKey::Load(path).status().code() == Code::kNotFound);
  RequireOk(key.Save(path));
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  REQUIRE((info.st_mode & 0777) == 0600);
  REQUIRE(key.Save(path).code() == Code::kAlreadyExists);
  REQUIRE(Value(SigningKey::Load(path)).public_key() == key.public_key());
  REQUIRE(chmod(path.c_str(), 0640) == 0);
  REQUIRE(SigningKey::Load(path).status().code() == Code::kPermissionDenied);
}

TEST_CASE("key files that hold something else are refused") {
  TemporaryFolder folder;
  const std::string good = base::Hex(std::string(32, 'k')) + "\n";
  int number = 0;
  for (const std::string& bad : std::vector<std::string>{
           "", "\n", good.substr(1), good.substr(0, 64), good + "\n", good + good,
           "x" + good.substr(1), "A" + good.substr(1), std::string(100'000, '0')}) {
    INFO(number);
    const std::string path = folder.File(std::to_string(number++));
    std::ofstream(path) << bad;
    REQUIRE(chmod(path.c_str(), 0600) == 0);
    REQUIRE(SigningKey::Load(path).status().code() == Code::kInvalidArgument);
  }
}

}  // namespace crowdteach::ledger
