#include "proto/cli/table.h"

#include "tests/support/catch.h"

namespace crowdteach::cli {

TEST_CASE("Columns line up, by characters") {
  REQUIRE(Table({{"entry", "name", "held"}, {"7", "a", "1200"}, {"12", "φ±", ""}}, {1}) ==
          "  entry  name  held\n"
          "      7  a     1200\n"
          "     12  φ±\n");
  REQUIRE(Table({}, {}) == "");
}

}  // namespace crowdteach::cli
