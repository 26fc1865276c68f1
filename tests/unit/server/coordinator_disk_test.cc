// A full disk under a running coordinator: told from a refusal, nothing lost, and on it goes.
#include "server/coordinator.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/server/full_disk.h"
#include "tests/unit/server/running.h"
#include "tests/unit/server/test_server.h"

namespace crowdteach::server {
namespace {

using absl::StatusCode;
using testing::Refused;
using testing::TestKey;

TEST_CASE("On a full disk nothing is logged, which is no refusal, and then all goes on") {
  const TestHome home;
  {
    Running running(home);
    REQUIRE(running.Issue(0, 100).status.ok());
    const uint64_t size = running.coordinator->log_size();
    const uint64_t invite = running.Invite(TestKey(50), v1::TEACHER, 1).index;
    const v1::SignedIntent open = running.Open(invite, TestKey(50), TestKey(51), "ada");
    const std::string checkpoint = running.coordinator->checkpoint();
    {
      const FullDisk full;
      const SubmitOutcome issued = running.Issue(0, 7);
      REQUIRE(Refused(issued.status, StatusCode::kUnavailable, "free some space"));
      REQUIRE(Refused(running.Submit(open).status, StatusCode::kUnavailable, "nothing was logged"));
      REQUIRE(running.coordinator->log_size() == size + 1);
      REQUIRE(running.coordinator->Account(0).available() == 100);
      REQUIRE_FALSE(running.coordinator->FindAccount(TestKey(51).public_key()).has_value());
      REQUIRE(running.coordinator->checkpoint() == checkpoint);
      REQUIRE(running.coordinator->Receipt(size).ok());  // reading goes on
    }
    REQUIRE(running.Issue(0, 7).status.ok());
    REQUIRE(running.Submit(open).status.ok());  // the same bytes again
  }
  const Running again(home);
  REQUIRE(again.coordinator->Account(0).available() == 107);
  REQUIRE(again.coordinator->FindAccount(TestKey(51).public_key())->name == "ada");
}

TEST_CASE("A full disk is told to the operator and to clients as what it is") {
  Server server;
  const wire::Invite invite = server.MakeInvite(v1::TEACHER);
  const auto key = ledger::SigningKey::Generate();
  const v1::SubmitRequest request = AccountOpen(server, invite, key);
  const auto admin = AdminClient::Of(server.home.path);
  v1::IssueCreditsRequest issue;
  issue.set_to("operator");
  issue.set_amount(5);
  {
    const FullDisk full;
    const Status issued = admin->IssueCredits(issue).status();
    REQUIRE(Refused(issued, StatusCode::kUnavailable, "free some space"));
    REQUIRE(ExitCodeOf(issued) == kExitIo);
    // No statement that it was refused: it was not.
    const auto submitted = Call(server, &v1::Coordinator::Stub::Submit, request);
    REQUIRE(Refused(submitted, StatusCode::kUnavailable, "free some space"));
  }
  REQUIRE(admin->IssueCredits(issue)->available() == 5);
  const auto submitted = Call(server, &v1::Coordinator::Stub::Submit, request);
  REQUIRE(submitted->has_receipt());

  v1::ExportRequest nowhere;
  nowhere.set_directory("/proc/nowhere");
  REQUIRE(ExitCodeOf(admin->Export(nowhere).status()) == kExitIo);
}

}  // namespace
}  // namespace crowdteach::server
