#include "server/rpc/sessions.h"

#include "tests/support/catch.h"

namespace crowdteach::server {

TEST_CASE("a nonce is good once and for a minute") {
  Sessions sessions;
  const std::string nonce = sessions.NewNonce(1000);
  REQUIRE(nonce.size() == 32);
  REQUIRE(sessions.UseNonce(nonce, 1000));
  REQUIRE_FALSE(sessions.UseNonce(nonce, 1000));
  const std::string late = sessions.NewNonce(1000);
  REQUIRE_FALSE(sessions.UseNonce(late, 1000 + Sessions::kNonceLifeMs));
  REQUIRE_FALSE(sessions.UseNonce(std::string(32, 'x'), 1000));
}

TEST_CASE("the oldest nonce makes room") {
  Sessions sessions({.nonces = 2, .tokens = 2, .tokens_of_account = 2});
  const std::string first = sessions.NewNonce(0);
  const std::string second = sessions.NewNonce(0);
  const std::string third = sessions.NewNonce(0);
  REQUIRE_FALSE(sessions.UseNonce(first, 0));
  REQUIRE(sessions.UseNonce(second, 0));
  REQUIRE(sessions.UseNonce(third, 0));
}

TEST_CASE("a token names its account until it expires") {
  Sessions sessions;
  const Sessions::Token token = sessions.Open(7, 1000);
  REQUIRE(token.bytes.size() == 32);
  REQUIRE(sessions.AccountOf(token.bytes, token.expires_ms - 1) == 7);
  REQUIRE_FALSE(sessions.AccountOf(token.bytes, token.expires_ms).has_value());
  REQUIRE_FALSE(sessions.AccountOf(token.bytes, 1000).has_value());  // forgotten by now
  REQUIRE_FALSE(sessions.AccountOf(std::string(32, 'x'), 1000).has_value());
  REQUIRE(sessions.size() == 0);
}

TEST_CASE("the oldest session of the account, and the oldest of all, make room") {
  Sessions sessions({.nonces = 8, .tokens = 3, .tokens_of_account = 2});
  const std::string a = sessions.Open(1, 0).bytes;
  const std::string b = sessions.Open(1, 0).bytes;
  const std::string c = sessions.Open(1, 0).bytes;
  REQUIRE_FALSE(sessions.AccountOf(a, 0).has_value());
  REQUIRE(sessions.AccountOf(b, 0) == 1);
  const std::string d = sessions.Open(2, 0).bytes;
  const std::string e = sessions.Open(3, 0).bytes;
  REQUIRE_FALSE(sessions.AccountOf(b, 0).has_value());
  REQUIRE(sessions.AccountOf(c, 0) == 1);
  REQUIRE(sessions.AccountOf(d, 0) == 2);
  REQUIRE(sessions.AccountOf(e, 0) == 3);
  REQUIRE(sessions.size() == 3);
}

}  // namespace crowdteach::server
