#include "server/rpc/sessions.h"

#include <set>
#include <vector>

#include "tests/support/status_matchers.h"

namespace crowdteach::server {
namespace {

using absl::StatusCode;
using testing::Refused;

Sessions::Token Opened(Sessions& sessions, uint64_t account, uint64_t now_ms) {
  const auto token = sessions.Open(account, sessions.NewNonce(now_ms), now_ms);
  INFO(token.status().ToString());
  REQUIRE(token.ok());
  return *token;
}

}  // namespace

TEST_CASE("a nonce is good once and for a minute") {
  Sessions sessions;
  const uint64_t start = 10 * Sessions::kNonceLifeMs;
  const auto open = [&](const std::string& nonce, uint64_t now_ms) {
    return sessions.Open(7, nonce, now_ms).status();
  };
  const std::string nonce = sessions.NewNonce(start);
  REQUIRE(nonce.size() == 32);
  REQUIRE(open(nonce, start).ok());
  for (const uint64_t later : {uint64_t{0}, Sessions::kNonceLifeMs - 1}) {
    REQUIRE(Refused(open(nonce, start + later), StatusCode::kUnauthenticated, "used already"));
  }
  REQUIRE(Refused(open(nonce, start + Sessions::kNonceLifeMs), StatusCode::kUnauthenticated,
                  "last minute"));
  // The wall clock was set back after Hello: used as early, remembered as long as it is good.
  const std::string early = sessions.NewNonce(start + Sessions::kNonceLifeMs);
  REQUIRE(open(early, start + 1).ok());
  REQUIRE(Refused(open(early, start + 2 * Sessions::kNonceLifeMs - 1), StatusCode::kUnauthenticated,
                  "used already"));
}

TEST_CASE("a nonce that was not made here is not taken") {
  Sessions sessions;
  Sessions other;
  const auto open = [&](const std::string& nonce) { return sessions.Open(7, nonce, 0).status(); };
  REQUIRE(open(other.NewNonce(0)).code() == StatusCode::kUnauthenticated);
  REQUIRE(open("").code() == StatusCode::kUnauthenticated);
  REQUIRE(open(std::string(32, 'x')).code() == StatusCode::kUnauthenticated);
  const std::string nonce = sessions.NewNonce(0);
  for (size_t i = 0; i < nonce.size(); ++i) {
    std::string bent = nonce;
    bent[i] = static_cast<char>(bent[i] ^ 1);
    REQUIRE(open(bent).code() == StatusCode::kUnauthenticated);
  }
  REQUIRE(open(nonce + "x").code() == StatusCode::kUnauthenticated);
  REQUIRE(open(nonce).ok());
}

TEST_CASE("a flood of Hello leaves an honest client's nonce good") {
  Sessions sessions;
  const std::string honest = sessions.NewNonce(0);
  std::set<std::string> nonces;
  for (int i = 0; i < 100'000; ++i) nonces.insert(sessions.NewNonce(1));
  REQUIRE(nonces.size() == 100'000);
  REQUIRE(sessions.Open(7, honest, 2).ok());
}

TEST_CASE("one account's claims are bounded, and nobody else's suffer") {
  Sessions sessions({.tokens = 8, .tokens_of_account = 2, .claims_of_account = 3});
  const std::string live = Opened(sessions, 2, 0).bytes;
  for (int i = 0; i < 3; ++i) Opened(sessions, 1, 0);
  REQUIRE(Refused(sessions.Open(1, sessions.NewNonce(0), 0), StatusCode::kResourceExhausted,
                  "opened 3 sessions"));
  REQUIRE(sessions.AccountOf(live, 0) == 2);
  Opened(sessions, 2, 0);
  Opened(sessions, 1, 2 * Sessions::kNonceLifeMs);
}

TEST_CASE("a token names its account until it expires") {
  Sessions sessions;
  const Sessions::Token token = Opened(sessions, 7, 1000);
  REQUIRE(token.bytes.size() == 32);
  REQUIRE(sessions.AccountOf(token.bytes, token.expires_ms - 1) == 7);
  REQUIRE_FALSE(sessions.AccountOf(token.bytes, token.expires_ms).has_value());
  REQUIRE_FALSE(sessions.AccountOf(token.bytes, 1000).has_value());  // forgotten by now
  REQUIRE_FALSE(sessions.AccountOf(std::string(32, 'x'), 1000).has_value());
  REQUIRE(sessions.size() == 0);
}

TEST_CASE("the oldest session of the account, and the oldest of all, make room") {
  Sessions sessions({.tokens = 3, .tokens_of_account = 2});
  const std::string a = Opened(sessions, 1, 0).bytes;
  const std::string b = Opened(sessions, 1, 0).bytes;
  const std::string c = Opened(sessions, 1, 0).bytes;
  REQUIRE_FALSE(sessions.AccountOf(a, 0).has_value());
  REQUIRE(sessions.AccountOf(b, 0) == 1);
  const std::string d = Opened(sessions, 2, 0).bytes;
  const std::string e = Opened(sessions, 3, 0).bytes;
  REQUIRE_FALSE(sessions.AccountOf(b, 0).has_value());
  REQUIRE(sessions.AccountOf(c, 0) == 1);
  REQUIRE(sessions.AccountOf(d, 0) == 2);
  REQUIRE(sessions.AccountOf(e, 0) == 3);
  REQUIRE(sessions.size() == 3);
}

TEST_CASE("one account that opens sessions over and over displaces its own only") {
  Sessions sessions({.tokens = 4, .tokens_of_account = 2, .claims_of_account = 1000});
  const std::string first = Opened(sessions, 1, 0).bytes;
  const std::string second = Opened(sessions, 2, 0).bytes;
  std::string newest;
  for (int i = 0; i < 100; ++i) newest = Opened(sessions, 3, 0).bytes;
  REQUIRE(sessions.AccountOf(first, 0) == 1);
  REQUIRE(sessions.AccountOf(second, 0) == 2);
  REQUIRE(sessions.AccountOf(newest, 0) == 3);
  REQUIRE(sessions.size() == 4);
}

}  // namespace crowdteach::server
