// Uploads that no campaign names: bounded, and swept away.
#include "server/uploads.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "tests/support/status_matchers.h"
#include "tests/unit/server/running.h"

namespace crowdteach::server {
namespace {

using absl::StatusCode;
using testing::Refused;
using testing::TestHash;

constexpr uint64_t kDayMs = 86'400'000;

TEST_CASE("An account may leave so many bytes and blobs") {
  Uploads uploads({.bytes_of_account = 100, .blobs_of_account = 3});
  const auto note = [&](uint64_t account, uint64_t blob, uint64_t size_bytes, uint64_t now_ms = 0) {
    return uploads.Note(account, TestHash("blob", blob), size_bytes, now_ms);
  };
  REQUIRE(note(1, 1, 60).ok());
  REQUIRE(note(1, 1, 60).ok());  // the same again
  REQUIRE(Refused(note(1, 2, 41), StatusCode::kFailedPrecondition, "has uploaded 60 bytes"));
  REQUIRE(note(2, 2, 41).ok());  // another's
  REQUIRE(note(1, 2, 40).ok());
  REQUIRE(Refused(note(1, 1, 61), StatusCode::kFailedPrecondition, "at most 100"));
  REQUIRE_FALSE(note(1, 3, UINT64_MAX).ok());

  SECTION("until a campaign names them") {
    uploads.Named(TestHash("blob", 1));
    uploads.Named(TestHash("never seen", 0));
    REQUIRE_FALSE(uploads.Knows(TestHash("blob", 1)));
    REQUIRE(uploads.Knows(TestHash("blob", 2)));
    REQUIRE(note(1, 3, 60).ok());
    REQUIRE_FALSE(note(1, 4, 1).ok());
  }
  SECTION("until nobody has asked for a day") {
    REQUIRE(note(1, 1, 60, 1000).ok());
    uploads.Expire(kDayMs);
    REQUIRE(uploads.Knows(TestHash("blob", 1)));
    REQUIRE_FALSE(uploads.Knows(TestHash("blob", 2)));
    REQUIRE(note(1, 3, 40, kDayMs).ok());
    uploads.Expire(kDayMs + 1000);
    REQUIRE_FALSE(uploads.Knows(TestHash("blob", 1)));
    REQUIRE(note(1, 4, 60, kDayMs + 1000).ok());
  }
  SECTION("however small") {
    for (uint64_t blob = 10; blob < 13; ++blob) REQUIRE(note(3, blob, 1).ok());
    REQUIRE(Refused(note(3, 13, 1), StatusCode::kFailedPrecondition, "in 3 blobs"));
  }
}

// A coordinator's artifacts with files of a given age.
struct SweptHome : HistoryHome {
  explicit SweptHome(const testing::LedgerBuilder& history) : HistoryHome(history) {
    std::filesystem::create_directories(File("home/artifacts/part"));
  }
  std::string Put(const base::Hash& digest, uint64_t written_ms, bool part = false) const {
    const std::string path =
        File(part ? "home/artifacts/part/" : "home/artifacts/") + base::Hex(digest);
    std::ofstream(path) << "blob";
    const timespec time = {static_cast<time_t>(written_ms / 1000), 0};
    const timespec times[] = {time, time};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
    return path;
  }
};

bool Goes(const std::string& path) {
  for (int i = 0; i < 500 && std::filesystem::exists(path); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return !std::filesystem::exists(path);
}

TEST_CASE("What no campaign names goes after a day, at the start and while it runs") {
  SmallWorld world(2);
  const SweptHome home(world.log);
  const uint64_t now = world.log.now_ms;
  const std::string named = home.Put(TestHash("model", 0), now - 3 * kDayMs);
  const std::string old = home.Put(TestHash("old", 0), now - kDayMs - 1000);
  const std::string part = home.Put(TestHash("part", 0), now - kDayMs - 1000, true);
  const std::string young = home.Put(TestHash("young", 0), now - kDayMs / 2);
  const std::string asked = home.Put(TestHash("asked", 0), now - kDayMs / 2);
  const std::string key = home.File("home/artifacts/readme");  // not a blob's name: not ours to go
  std::ofstream(key) << "x";
  Running running(home, now);
  REQUIRE(Goes(old));
  REQUIRE(Goes(part));
  REQUIRE(std::filesystem::exists(young));

  v1::UploadHead head;  // the owner asks for it again: it is about to launch
  head.set_kind(v1::WEIGHTS);
  head.set_digest(base::Bytes(TestHash("asked", 0)));
  head.set_size_bytes(4);
  running.now_ms += kDayMs / 2 + 1000;
  REQUIRE(running.coordinator->CheckUpload(world.owner, head).ok());
  REQUIRE(running.Issue(0, 1).status.ok());  // a batch, whose time it is
  REQUIRE(Goes(young));
  REQUIRE(std::filesystem::exists(named));
  REQUIRE(std::filesystem::exists(asked));
  REQUIRE(std::filesystem::exists(key));
}

TEST_CASE("An owner is told when it has left too much") {
  SmallWorld world(2);
  const HistoryHome home(world.log);
  Running running(home, world.log.now_ms);
  v1::UploadHead head;
  head.set_kind(v1::WEIGHTS);
  const auto upload = [&](const base::Hash& digest) {
    head.set_digest(base::Bytes(digest));
    head.set_size_bytes(kMaxOwnerBlobBytes);
    return running.coordinator->CheckUpload(world.owner, head);
  };
  REQUIRE(upload(TestHash("one", 0)).ok());
  REQUIRE(upload(TestHash("two", 0)).ok());
  REQUIRE(Refused(upload(TestHash("three", 0)), StatusCode::kFailedPrecondition, "launch with"));
  REQUIRE(upload(TestHash("model", 0)).ok());  // a campaign's
}

TEST_CASE("Updates go when the retention of their campaign is over, never before; nothing else") {
  SmallWorld world(4);
  world.log.RunRound(world.id, {});
  const base::Hash digest = world.log.UpdateOf(world.id, world.teachers[0], {});
  v1::CampaignClose close;
  close.set_campaign(world.id);
  close.set_validation_digest(world.Now().open.validation_digest());
  world.log.Say(world.owner, close);
  const uint64_t closed_ms = world.Now().closed_ms;
  const uint64_t over_ms = closed_ms + world.Now().open.terms().retention_ms();
  REQUIRE(world.Now().open.terms().retention_ms() > world.Now().open.terms().dispute_ms());
  const SweptHome home(world.log);
  const std::string update = home.Put(digest, closed_ms - 2 * kDayMs);
  const std::string model = home.Put(TestHash("model", 0), closed_ms - 2 * kDayMs);
  const std::string other = home.Put(TestHash("swept first", 0), closed_ms - 2 * kDayMs);
  const auto readable = [&](Running& running) {
    return running.coordinator->CheckRead(world.owner, base::BlobKind::kUpdate, digest);
  };
  {
    Running running(home, over_ms - 1);
    REQUIRE(Goes(other));
    for (int i = 0; i < 3; ++i) REQUIRE(running.Issue(0, 1).status.ok());
    REQUIRE(std::filesystem::exists(update));
    REQUIRE(readable(running).ok());
    const auto exported = running.coordinator->Export(home.File("before"), true);
    REQUIRE(exported->lapsed == 0);
  }
  Running running(home, over_ms);
  REQUIRE(Goes(update));
  REQUIRE(Refused(readable(running), StatusCode::kNotFound, "retention"));
  const auto exported = running.coordinator->Export(home.File("after"), true);
  REQUIRE(exported->lapsed == 4);  // the other three never were here
  REQUIRE(std::filesystem::exists(model));
}

}  // namespace
}  // namespace crowdteach::server
