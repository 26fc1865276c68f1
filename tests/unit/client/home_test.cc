// Who may write what in a home: one process that works in it, and those who look on.
#include "client/home.h"

#include <filesystem>
#include <thread>

#include "proto/base/file.h"
#include "tests/support/catch.h"
#include "tests/support/learning_world.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::client {
namespace {

using absl::StatusCode;
using testing::Refused;

TEST_CASE("one works in a home, others look on and leave alone what it keeps") {
  const learning::TestFolder folder;
  const std::string path = folder.path() + "/home";
  REQUIRE(Refused(Home::Look(path), StatusCode::kNotFound, "key"));
  REQUIRE_FALSE(std::filesystem::exists(path));  // looking at it makes none

  const auto worker = Home::Open(path);
  REQUIRE(worker.ok());
  REQUIRE_FALSE((*worker)->looking());
  REQUIRE((*worker)->SaveHead("head 1").ok());
  REQUIRE(Refused(Home::Open(path), StatusCode::kUnavailable, "another crowdteach is using"));
  const auto looking = Home::Look(path);
  REQUIRE(looking.ok());
  REQUIRE((*looking)->looking());
  REQUIRE((*looking)->key().public_key() == (*worker)->key().public_key());
  REQUIRE(*(*looking)->LoadHead() == "head 1");
  REQUIRE((*looking)->SaveHead("head 2").ok());
  REQUIRE((*looking)->SaveServer("other.example:1").ok());
  REQUIRE((*looking)->SaveFetched(17).ok());
  REQUIRE(*(*worker)->LoadHead() == "head 1");
  REQUIRE((*worker)->LoadAddresses()->empty());
  REQUIRE(*(*worker)->LoadFetched() == 0);
  std::filesystem::permissions(path, std::filesystem::perms::all);
  REQUIRE(Refused(Home::Look(path), StatusCode::kPermissionDenied, "others may enter"));
}

TEST_CASE("where nobody works, what somebody who looks on saw is kept, but never over newer") {
  const learning::TestFolder folder;
  const std::string path = folder.path() + "/home";
  REQUIRE((*Home::Open(path))->SaveHead("head 1").ok());
  const auto looking = Home::Look(path);
  const auto later = Home::Look(path);
  for (Home* home : {looking->get(), later->get()}) REQUIRE(*home->LoadHead() == "head 1");
  REQUIRE((*later)->SaveHead("head 3").ok());
  REQUIRE((*later)->SaveServer("other.example:1").ok());
  REQUIRE((*looking)->SaveHead("head 2").ok());
  REQUIRE(Home::Open(path).ok());  // no lock was kept
  REQUIRE(*(*Home::Look(path))->LoadHead() == "head 3");
  REQUIRE(*(*Home::Look(path))->LoadAddresses() == std::vector<std::string>{"other.example:1"});
}

TEST_CASE("a receipt that two write at once is whole") {
  const learning::TestFolder folder;
  const std::string path = folder.path() + "/home";
  const auto worker = Home::Open(path);
  const auto looking = Home::Look(path);
  const std::string receipt(200'000, 'r');
  const auto write = [&](Home* home) {
    Status status;
    for (uint64_t i = 0; i < 100 && status.ok(); ++i) status = home->SaveReceipt(i % 3, receipt);
    return status;
  };
  Status looked;
  std::thread other([&] { looked = write(looking->get()); });
  const Status worked = write(worker->get());
  other.join();
  REQUIRE(worked == OkStatus());
  REQUIRE(looked == OkStatus());
  for (const auto& file : std::filesystem::directory_iterator(path + "/receipts")) {
    REQUIRE(*base::ReadFile(file.path(), receipt.size()) == receipt);
    REQUIRE(file.path().extension() == ".proof");
  }
}

}  // namespace
}  // namespace crowdteach::client
