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
  REQUIRE_FALSE(std::filesystem::exists(path));
  const auto first = Home::Look(path);  // nobody is at work: it may
  REQUIRE(first.ok());
  REQUIRE((*first)->working());
  REQUIRE(Refused(Home::Open(path), StatusCode::kUnavailable, "another crowdteach is using"));
  REQUIRE((*first)->SaveHead("head 1").ok());
  (*first)->LetOthersWork();

  const auto worker = Home::Open(path);
  REQUIRE(worker.ok());
  const auto looking = Home::Look(path);
  REQUIRE(looking.ok());
  for (Home* home : {first->get(), looking->get()}) {
    REQUIRE_FALSE(home->working());
    REQUIRE(home->key().public_key() == (*worker)->key().public_key());
    REQUIRE(home->SaveHead("head 2").ok());
    REQUIRE(home->SaveServer("other.example:1").ok());
    REQUIRE(home->SaveAddresses({}).ok());
    REQUIRE(home->SaveFetched(17).ok());
    REQUIRE(home->SavePending(std::nullopt).ok());
  }
  REQUIRE(*(*worker)->LoadHead() == "head 1");
  REQUIRE((*worker)->LoadAddresses()->empty());
  REQUIRE(*(*worker)->LoadFetched() == 0);
}

TEST_CASE("a home that somebody is about to make has no key to look on with yet") {
  const learning::TestFolder folder;
  const std::string path = folder.path() + "/home";
  const auto worker = Home::Open(path);
  REQUIRE(worker.ok());
  std::filesystem::remove(path + "/key");
  REQUIRE(Refused(Home::Look(path), StatusCode::kNotFound, "key"));
  REQUIRE_FALSE(std::filesystem::exists(path + "/key"));
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
