#include "proto/base/home_folder.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "tests/support/catch.h"

namespace crowdteach::base {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOurs[] = {"lock", "key"};

TEST_CASE("A home is made, taken again, and never taken from something else") {
  std::string name = (fs::temp_directory_path() / "crowdteach-XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  const fs::path folder = name;

  const std::string home = (folder / "a/b/home").string();
  REQUIRE(MakeHome(home, kOurs).ok());
  CHECK((fs::status(home).permissions() & fs::perms::all) == fs::perms::owner_all);
  REQUIRE(MakeHome(home, kOurs).ok());  // empty still
  fs::create_directory(home + "/lost+found");
  REQUIRE(MakeHome(home, kOurs).ok());  // a file system of its own
  std::ofstream(home + "/notes.txt") << "mine";
  const Status foreign = MakeHome(home, kOurs);
  CHECK(absl::IsInvalidArgument(foreign));
  CHECK(Message(foreign).find("notes.txt") != std::string::npos);
  std::ofstream(home + "/key") << "k";
  REQUIRE(MakeHome(home, kOurs).ok());  // ours, with something else in it

  fs::permissions(home, fs::perms::group_read, fs::perm_options::add);
  CHECK(absl::IsPermissionDenied(MakeHome(home, kOurs)));
  CHECK(absl::IsInvalidArgument(MakeHome(home + "/notes.txt", kOurs)));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace crowdteach::base
