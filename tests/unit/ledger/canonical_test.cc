#include "ledger/canonical.h"

#include <google/protobuf/struct.pb.h>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/bytes.h"
#include "tests/support/catch.h"

namespace crowdteach::ledger {
namespace {

// Bytes written as hex with spaces, so that each mutation can be read.
std::string Hex(std::string text) {
  std::erase(text, ' ');
  return *base::ParseHex(text);
}

template <typename M>
bool Accepts(const std::string& hex) {
  return Decode<M>(Hex(hex)).ok();
}

}  // namespace

TEST_CASE("canonical bytes decode and encode to themselves") {
  v1::Posting posting;
  posting.set_kind(v1::AVAIL);
  posting.set_account(300);
  posting.set_amount(-5);
  REQUIRE(base::Hex(Encode(posting)) == "080118ac022009");
  REQUIRE(Accepts<v1::Posting>("08 01 18 ac02 20 09"));
  REQUIRE(Accepts<v1::Posting>(""));
}

TEST_CASE("each departure from the canonical encoding is refused") {
  const std::pair<const char*, const char*> departures[] = {
      {"fields not ascending", "18 ac02 08 01 20 09"},
      {"a field twice", "08 01 08 01 18 ac02"},
      {"a field twice, the last differs", "08 02 08 01"},
      {"a long varint value", "08 8100 18 ac02"},
      {"a long varint tag", "8800 01"},
      {"a default that is present", "08 01 18 00"},
      {"an unknown field", "08 01 28 01"},
      {"an unknown field number far away", "08 01 fa7f 00"},
      {"a wrong wire type", "09 0100000000000000"},
      {"a group", "08 01 2b 2c"},
      {"an unknown enum value", "08 07"},
      {"an enum value beyond 32 bits", "08 818080808001"},
      {"cut short", "08 01 18 ac"},
      {"a stray end of group", "0c"},
      {"tag zero", "00"},
  };
  for (const auto& [what, hex] : departures) {
    INFO(what);
    REQUIRE_FALSE(Accepts<v1::Posting>(hex));
  }
}

TEST_CASE("repeated scalars are packed or refused") {
  REQUIRE(Accepts<v1::DataTerms>("0a 02 011c"));
  REQUIRE_FALSE(Accepts<v1::DataTerms>("08 01 08 1c"));        // not packed
  REQUIRE_FALSE(Accepts<v1::DataTerms>("0a 01 01 0a 01 1c"));  // packed in two pieces
  REQUIRE_FALSE(Accepts<v1::DataTerms>("0a 00"));              // empty and present
}

TEST_CASE("messages inside are canonical too") {
  REQUIRE(Accepts<v1::Entry>("18 05 22 03 0a 01 aa"));
  REQUIRE_FALSE(Accepts<v1::Entry>("18 05 22 05 0a 01 aa 12 00"));  // a present default
  REQUIRE_FALSE(Accepts<v1::Entry>("18 05 22 05 0a 01 aa 18 01"));  // an unknown field
  REQUIRE_FALSE(Accepts<v1::Entry>("18 05 22 03 0a 01 aa 22 00"));  // merged from two
}

TEST_CASE("of a oneof only one member may be present") {
  v1::Intent intent;
  intent.mutable_refund()->set_campaign(7);
  const std::string one = Encode(intent);
  intent.mutable_settle()->set_campaign(7);
  REQUIRE(Decode<v1::Intent>(one).ok());
  REQUIRE_FALSE(Decode<v1::Intent>(one + Encode(intent)).ok());
}

TEST_CASE("texts are UTF-8") {
  REQUIRE(Accepts<v1::AccountOpen>("22 02 c3a9"));
  REQUIRE_FALSE(Accepts<v1::AccountOpen>("22 02 c328"));
}

TEST_CASE("nesting is bounded") {
  google::protobuf::Value value;
  value.set_bool_value(true);
  for (int depth = 1; depth <= 12; ++depth) {
    INFO("depth " << depth);
    google::protobuf::ListValue list;
    *list.add_values() = value;
    REQUIRE(Decode<google::protobuf::Value>(Encode(value)).ok() == (2 * depth - 1 <= kMaxDepth));
    google::protobuf::Value outer;
    *outer.mutable_list_value() = list;
    value = outer;
  }
}

}  // namespace crowdteach::ledger
