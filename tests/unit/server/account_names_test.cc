#include "server/account_names.h"

#include <string>

#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::server {
namespace {

using absl::StatusCode;
using testing::Refused;

TEST_CASE("a name is good once, and must not read as something else") {
  testing::LedgerBuilder log;
  log.next_name = "Ada Lovelace";
  log.Join(log.Invite(0, v1::TEACHER, 1, 0));
  for (const char* good : {"ada", "a", "7b", "-1", "~", "Ada  Lovelace", "\"; DROP TABLE"}) {
    CAPTURE(good);
    REQUIRE(CheckNewName(log.state, good).ok());
  }
  for (const char* taken : {"Ada Lovelace", "ada lovelace", "operator", "OPERATOR", "Issuer"}) {
    CAPTURE(taken);
    REQUIRE(Refused(CheckNewName(log.state, taken), StatusCode::kFailedPrecondition, "already"));
  }
  for (const char* number : {"0", "17", "007", "18446744073709551616"}) {
    CAPTURE(number);
    REQUIRE(Refused(CheckNewName(log.state, number), StatusCode::kFailedPrecondition, "number"));
  }
  for (const char* spaced : {" ada", "ada ", " "}) {
    CAPTURE(spaced);
    REQUIRE(Refused(CheckNewName(log.state, spaced), StatusCode::kFailedPrecondition, "space"));
  }
}

}  // namespace
}  // namespace crowdteach::server
