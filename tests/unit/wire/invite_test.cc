#include "proto/wire/invite.h"

#include <random>

#include "tests/support/catch.h"

namespace crowdteach::wire {
namespace {

Invite Example() {
  Invite invite;
  invite.role = v1::TEACHER;
  invite.expires_ms = 1'795'000'000'000;
  invite.addresses = {"203.0.113.5:7700", "[2001:db8::1]:7700", "teach.example.org:443"};
  invite.web_addresses = {"203.0.113.5:7701"};
  invite.log_vkey = "crowdteach-0123456789abcdef+01020304+AQIDBA==";
  invite.index = 2;
  invite.token_seed = std::string(31, '\x5a') + '\0';
  invite.ca_pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  return invite;
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("an invite survives its file") {
  const Invite invite = Example();
  const auto read = ParseInvite(FormatInvite(invite), "a.invite");
  INFO(read.status().ToString());
  REQUIRE(read.ok());
  REQUIRE(read->role == invite.role);
  REQUIRE(read->expires_ms == invite.expires_ms);
  REQUIRE(read->addresses == invite.addresses);
  REQUIRE(read->web_addresses == invite.web_addresses);
  REQUIRE(read->log_vkey == invite.log_vkey);
  REQUIRE(read->index == invite.index);
  REQUIRE(read->token_seed == invite.token_seed);
  REQUIRE(read->ca_pem == invite.ca_pem);
}

TEST_CASE("what is wrong with an invite is named with its line") {
  const std::string good = FormatInvite(Example());
  struct Case {
    std::string from, to, message;
  };
  const Case cases[] = {
      {"version = 1", "version = 2", "a.invite:2: "},
      {"version = 1", "# no version", "\"version\" is missing"},
      {"\"teacher\"", "\"king\"", "a.invite:3: \"king\" is not a role"},
      {"\"teacher\"", "7", "a.invite:3: \"role\" must be a text"},
      {"expires_ms = 1795000000000", "expires_ms = -1", "a.invite:4: "},
      {"expires_ms = 1795000000000", "expires_ms = 1.5", "a.invite:4: "},
      {"\"203.0.113.5:7700\"", "\"203.0.113.5\"", "a.invite:5: "},
      {"\"203.0.113.5:7700\"", "\"203.0.113.5:0\"", "a.invite:5: "},
      {"\"203.0.113.5:7700\"", "5", "a.invite:5: "},
      {"invite = 2", "invite = 2\ncolour = 3", "unknown key \"colour\""},
      {"invite = 2", "invite = 2\ninvite = 3", "a.invite:9"},
      {"token = \"5a", "token = \"5A", "64 hex digits"},
      {"token = \"5a", "token = \"", "64 hex digits"},
      {"MIIB", "MI\\\\IB", "not a PEM"},
      {"invite = 2", "invite = [", "a.invite:"},
  };
  for (const Case& item : cases) {
    const auto read = ParseInvite(Replaced(good, item.from, item.to), "a.invite");
    INFO(item.from << " -> " << item.to << ": " << read.status().ToString());
    REQUIRE(absl::IsInvalidArgument(read.status()));
    REQUIRE(Message(read.status()).find(item.message) != std::string::npos);
  }
}

TEST_CASE("an invite cannot be longer than 64 KiB, however it is filled") {
  const auto read = ParseInvite(std::string(kMaxInviteBytes, '#') + "\n", "a.invite");
  REQUIRE(absl::IsInvalidArgument(read.status()));
  const auto deep = ParseInvite("a = " + std::string(60'000, '['), "a.invite");
  REQUIRE(absl::IsInvalidArgument(deep.status()));
}

TEST_CASE("a damaged invite is refused or read, never worse") {
  const std::string good = FormatInvite(Example());
  const uint32_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 2000; ++i) {
    std::string text = good;
    text[random() % text.size()] = static_cast<char>(random());
    const auto read = ParseInvite(text, "a.invite");
    if (read.ok()) REQUIRE(ParseInvite(FormatInvite(*read), "again").ok());
  }
}

TEST_CASE("characters beyond ASCII are refused before the parser sees them") {
  for (const char* bad : {"version = 1\nrol\xc3\xa9 = 1\n", "version = 1\n# \xf0\x9f\x98\x80\n",
                          "version = 1\n\xff\n"}) {
    const auto read = ParseInvite(bad, "a.invite");
    REQUIRE(absl::IsInvalidArgument(read.status()));
    REQUIRE(Message(read.status()).starts_with("a.invite:2: a character beyond ASCII"));
  }
}

TEST_CASE("addresses") {
  REQUIRE(ParseHostPort("127.0.0.1:0")->port == 0);
  REQUIRE(ParseHostPort("[::1]:443")->host == "::1");
  REQUIRE(FormatHostPort(*ParseHostPort("[::1]:443")) == "[::1]:443");
  REQUIRE(FormatHostPort(*ParseHostPort("a-b.example:65535")) == "a-b.example:65535");
  for (const char* bad : {"", ":", "host", "host:", ":1", "host:65536", "host:1x", "host:-1",
                          "::1:443", "a b:1", "[]:1", "host\n:1", "http://host:1", "[::1:443"}) {
    INFO(bad);
    REQUIRE(absl::IsInvalidArgument(ParseHostPort(bad).status()));
  }
}

TEST_CASE("addresses that others can be sent to") {
  for (const char* good : {"teach.example.org:7700", "203.0.113.5:7700", "[2001:db8::1]:7700",
                           "127.0.0.1:1", "[fe80::1%eth0]:7700", "localhost:65535"}) {
    INFO(good);
    REQUIRE(CheckPublicAddress(good).ok());
  }
  for (const char* bad :
       {"0.0.0.0:7700", "[::]:7700", "[0:0:0:0:0:0:0:0]:7700", "[::ffff:0.0.0.0]:7700", "host:0",
        "host", ":7700", "2001:db8::1:7700", "host:65536", "ho st:1", ""}) {
    INFO(bad);
    REQUIRE(absl::IsInvalidArgument(CheckPublicAddress(bad)));
  }
  REQUIRE_FALSE(IsAnyAddress("0.0.0.1"));
  REQUIRE_FALSE(IsAnyAddress("::1"));
  REQUIRE_FALSE(IsAnyAddress("example.org"));
}

}  // namespace crowdteach::wire
