// The record of fetches: durable lines, whatever a crash or a full disk left.
#include "server/access_log.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/unit/server/history.h"

namespace crowdteach::server {
namespace {

using base::BlobKind;
using testing::Refused;
using testing::TestHash;

Access Sample(uint64_t time_ms) {
  return {time_ms, 17, BlobKind::kUpdate, TestHash("update", time_ms), 9, 1 << 20, 4096};
}

std::vector<Access> Read(const std::string& path) {
  std::vector<Access> accesses;
  const Status read = ReadAccesses(path, [&](const Access& access) {
    accesses.push_back(access);
    return OkStatus();
  });
  INFO(read.ToString());
  REQUIRE(read.ok());
  return accesses;
}

TEST_CASE("An access is a line, and a line an access") {
  Access access = Sample(1'700'000'000'000);
  for (const BlobKind kind :
       {BlobKind::kWeights, BlobKind::kUpdate, BlobKind::kGradient, BlobKind::kValidation}) {
    access.kind = kind;
    for (const auto account : {std::optional<uint64_t>(), std::optional<uint64_t>(0)}) {
      access.account = account;
      const auto parsed = ParseAccess(FormatAccess(access));
      REQUIRE(parsed.ok());
      REQUIRE(*parsed == access);
    }
  }
  const std::string good = FormatAccess(Sample(1));
  for (const std::string& bad :
       {std::string(), good + " ", good + " 1", " " + good, good.substr(0, good.size() - 5),
        "-" + good, "0" + good, good.substr(2), "1 x" + good.substr(3)}) {
    INFO(bad);
    REQUIRE(Refused(ParseAccess(bad), absl::StatusCode::kInvalidArgument, "not a line"));
  }
}

TEST_CASE("Accesses stay, in order, over restarts") {
  const TestHome home;
  const std::string path = home.File("accesses");
  for (uint64_t i = 1; i <= 3; ++i) {
    auto log = AccessLog::Open(path);
    REQUIRE(log.ok());
    REQUIRE((*log)->Append(Sample(2 * i)).ok());
    REQUIRE((*log)->Append(Sample(2 * i + 1)).ok());
  }
  const std::vector<Access> read = Read(path);
  REQUIRE(read.size() == 6);
  for (uint64_t i = 0; i < 6; ++i) REQUIRE(read[i] == Sample(i + 2));
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  REQUIRE((info.st_mode & 0777) == 0600);
}

TEST_CASE("A line cut short by a crash is dropped; its fetch never began") {
  const TestHome home;
  const std::string path = home.File("accesses");
  REQUIRE((*AccessLog::Open(path))->Append(Sample(1)).ok());
  std::ofstream(path, std::ios::app) << FormatAccess(Sample(2)).substr(0, 40);
  REQUIRE(Read(path).size() == 1);  // also while it stands there
  REQUIRE((*AccessLog::Open(path))->Append(Sample(3)).ok());
  REQUIRE(Read(path) == std::vector<Access>{Sample(1), Sample(3)});
}

TEST_CASE("A record that is not ours is refused, and nothing of it is lost") {
  const TestHome home;
  const std::string path = home.File("accesses");
  std::ofstream(path) << std::string(1000, 'x');
  REQUIRE(Refused(AccessLog::Open(path), absl::StatusCode::kDataLoss, "move it away"));
  REQUIRE(std::filesystem::file_size(path) == 1000);
  std::ofstream(path) << FormatAccess(Sample(1)) << "\nhello\n";
  const auto ignore = [](const Access&) { return OkStatus(); };
  REQUIRE(Refused(ReadAccesses(path, ignore), absl::StatusCode::kDataLoss, "accesses:2"));
  REQUIRE(Refused(ReadAccesses(home.File("none"), ignore), absl::StatusCode::kNotFound, "none"));
}

TEST_CASE("On a full disk a fetch is not recorded in part") {
  const TestHome home;
  const std::string path = home.File("accesses");
  auto log = AccessLog::Open(path);
  REQUIRE((*log)->Append(Sample(1)).ok());
  const auto size = std::filesystem::file_size(path);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit full{size + 10, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &full) == 0);
  const Status refused = (*log)->Append(Sample(2));
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  REQUIRE_FALSE(refused.ok());
  REQUIRE(std::filesystem::file_size(path) == size);
  REQUIRE((*log)->Append(Sample(3)).ok());
  REQUIRE(Read(path) == std::vector<Access>{Sample(1), Sample(3)});
}

}  // namespace
}  // namespace crowdteach::server
