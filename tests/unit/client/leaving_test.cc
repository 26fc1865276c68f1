// When a teacher that was asked to stop may go.
#include "client/leaving.h"

#include <thread>

#include "client/inbox.h"
#include "tests/support/catch.h"

namespace crowdteach::client {
namespace {

TEST_CASE("Nothing owed: at once, and nothing new is begun") {
  std::stop_source source;
  Leaving leaving(source.get_token());
  REQUIRE_FALSE(leaving.MayGo());
  REQUIRE(leaving.Promise(1).ok());
  leaving.Kept(1);
  source.request_stop();
  bool first = false;
  REQUIRE(leaving.OnStop(&first).round == 0);
  REQUIRE(first);
  REQUIRE(leaving.MayGo());
  REQUIRE(absl::IsCancelled(leaving.Promise(2)));
  REQUIRE(Message(leaving.Left()) == "left; nothing is lost");
}

TEST_CASE("What is owed is waited for, and its round's end counts as well") {
  std::stop_source source;
  Leaving leaving(source.get_token());
  REQUIRE(leaving.Promise(4).ok());
  leaving.Kept(3);  // an older round's
  source.request_stop();
  REQUIRE_FALSE(leaving.MayGo());  // also before OnStop was called
  bool first = false;
  Leaving::Owed owed = leaving.OnStop(&first);
  REQUIRE(owed.round == 4);
  REQUIRE_FALSE(owed.delivering);
  leaving.Delivering(4);
  owed = leaving.OnStop(&first);
  REQUIRE(owed.delivering);
  REQUIRE_FALSE(first);
  REQUIRE_FALSE(leaving.MayGo());
  REQUIRE(Message(leaving.Left()).find("round 4 is not delivered") != std::string::npos);
  leaving.Kept(4);
  REQUIRE(leaving.MayGo());
}

TEST_CASE("The wait has an end") {
  std::stop_source source;
  Leaving leaving(source.get_token(), std::chrono::milliseconds(30));
  REQUIRE(leaving.Promise(1).ok());
  REQUIRE_FALSE(leaving.until().has_value());
  source.request_stop();
  bool first = false;
  leaving.OnStop(&first);
  REQUIRE_FALSE(leaving.MayGo());
  Inbox inbox;
  Arrived next;
  REQUIRE(inbox.Take(&next, leaving.until()) == Inbox::Got::kNothing);
  REQUIRE(leaving.MayGo());
}

TEST_CASE("An inbox gives notices in order, then the end, and can be woken") {
  Inbox inbox;
  Arrived next;
  next.notice.set_round(1);
  inbox.Put(next);
  inbox.End(NotFound("gone"));
  inbox.Wake();
  REQUIRE(inbox.Take(&next, std::nullopt) == Inbox::Got::kNothing);
  REQUIRE(inbox.Take(&next, std::nullopt) == Inbox::Got::kNotice);
  REQUIRE(next.notice.round() == 1);
  REQUIRE(inbox.Take(&next, std::nullopt) == Inbox::Got::kEnd);
  REQUIRE(inbox.end() == NotFound("gone"));
}

}  // namespace
}  // namespace crowdteach::client
