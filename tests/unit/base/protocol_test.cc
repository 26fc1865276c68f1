#include "proto/base/protocol.h"

#include "tests/support/catch.h"

namespace crowdteach::base {
namespace {

std::string Told(const Speaker& client, const Speaker& coordinator) {
  return Message(CheckCompatible(client, coordinator));
}

TEST_CASE("Programs with a protocol in common understand each other") {
  CHECK(CheckCompatible({"crowdteach 1", 1, 1}, {"crowdteachd 1", 1, 1}).ok());
  CHECK(CheckCompatible({"crowdteach 9", 9, 1}, {"crowdteachd 1", 1, 1}).ok());
  CHECK(CheckCompatible({"crowdteach 1", 1, 0}, {"crowdteachd 9", 9, 1}).ok());
  CHECK(CheckCompatible({"crowdteach 5", 5, 3}, {"crowdteachd 3", 3, 2}).ok());
}

TEST_CASE("The older of two that do not is to be upgraded, and both are named") {
  CHECK(Told({"crowdteach 0.1.0", 1, 1}, {"crowdteachd 2.0.0", 4, 3}) ==
        "crowdteach 0.1.0 speaks protocol 1, the coordinator's crowdteachd 2.0.0 speaks protocols "
        "3 to 4: upgrade crowdteach");
  CHECK(Told({"crowdteach 2.0.0", 2, 0}, {"crowdteachd 0.1.0", 1, 1}) ==
        "crowdteach 2.0.0 speaks protocol 2, the coordinator's crowdteachd 0.1.0 speaks protocol "
        "1: ask the operator to upgrade the coordinator");
  CHECK(absl::IsFailedPrecondition(CheckCompatible({"", 0, 0}, {"crowdteachd 1", 1, 1})));
}

TEST_CASE("A name that the peer chose is cut and printable") {
  const std::string told =
      Told({std::string("\x1b[2J") + std::string(500, 'x'), 0, 0}, {"c", 1, 1});
  CHECK(told.size() < 300);
  CHECK(told.find('\x1b') == std::string::npos);
}

TEST_CASE("A speaker in a header is read as it was written, and nothing else is") {
  const auto read = ParseSpeaker(FormatSpeaker({"crowdteachd 0.1.0", 7, 2}));
  REQUIRE(read.has_value());
  CHECK(read->program == "crowdteachd 0.1.0");
  CHECK(read->newest == 7);
  CHECK(read->oldest == 2);
  CHECK(FormatSpeaker({"curl", 3, 0}) == "3-3 curl");
  for (const char* text : {"", "1", "1-", "1-1", "0-1 x", "2-1 x", "1 -1 x", "99999999999-1 x"}) {
    CHECK_FALSE(ParseSpeaker(text).has_value());
  }
}

}  // namespace
}  // namespace crowdteach::base
