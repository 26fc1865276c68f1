// What a bundle shows by itself: every changed byte, and a coordinator that lies with its own keys.
#include <cstdlib>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "ledger/audit/verify.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/audit/audit_world.h"

namespace crowdteach::audit {
namespace {

using testing::kNat;

// The region that byte `offset` of a good bundle belongs to.
std::string RegionOf(const std::string& bundle, size_t count, size_t offset) {
  size_t begin = 21 + 8;
  if (offset < begin) return "header";
  for (size_t i = 0; i < count; ++i) {
    begin += 4 + base::ReadU32(bundle.data() + begin);
    if (offset < begin) return fmt::format("entry {}", i);
  }
  return "checkpoint";
}

TEST_CASE("every changed byte of a bundle is caught, in its region") {
  SmallLog small(1);
  small.log.RunRound(small.campaign, {{small.teachers[0], {.phi_q32 = kNat / 10}}});
  const std::string good = BundleOf(small.log);
  const ledger::VerifierKey key = KeyOf(small.log);
  REQUIRE_FALSE(Replayed(good, key).verdict.fault.has_value());
  const auto flip_from = [&](size_t first) {
    std::vector<std::string> wrong;
    std::string bad = good;
    for (size_t i = first; i < good.size(); i += 2) {
      bad[i] = static_cast<char>(good[i] ^ (1 << (i * 7 % 8)));
      const auto replay = ReplayBundle(ledger::StringSource(bad), key);
      const std::string expected = RegionOf(good, small.log.entries.size(), i);
      const std::string found =
          replay.ok() && replay->verdict.fault ? replay->verdict.fault->region : "nothing";
      const bool right =
          found == expected || (expected == "checkpoint" && found.starts_with("signature "));
      if (!right) wrong.push_back(fmt::format("byte {} of {}: {}", i, expected, found));
      bad[i] = good[i];
    }
    return wrong;
  };
  auto odd = std::async(std::launch::async, flip_from, 1);
  std::vector<std::string> wrong = flip_from(0);
  for (const std::string& more : odd.get()) wrong.push_back(more);
  for (const std::string& one : wrong) UNSCOPED_INFO(one);
  REQUIRE(wrong.empty());
}

TEST_CASE("a bundle that is cut anywhere is refused") {
  SmallLog small(1);
  const std::string good = BundleOf(small.log);
  for (size_t size = 0; size < good.size(); size += 97) {
    INFO("cut to " << size);
    REQUIRE(Replayed(good.substr(0, size), KeyOf(small.log)).verdict.fault.has_value());
  }
}

TEST_CASE("a score that does not follow from D and E is caught, though its author signed it") {
  SmallLog small(2);
  small.log.finish_score = [](const v1::Aggregate& aggregate, v1::Score* score) {
    ScoresThatFollow(aggregate, score);
    score->mutable_lines(0)->set_phi_q32(score->lines(0).phi_q32() + 1);
    score->mutable_lines(1)->set_phi_q32(score->lines(1).phi_q32() - 1);
  };
  small.log.RunRound(small.campaign, {{small.teachers[0], {.phi_q32 = kNat / 10}},
                                      {small.teachers[1], {.phi_q32 = kNat / 20}}});
  const Replay replay = Replayed(BundleOf(small.log), KeyOf(small.log));
  REQUIRE(replay.verdict.fault.has_value());
  uint64_t score_entry = 0;
  for (const auto& entry : small.log.entries) {
    if (entry.intent.has_score()) score_entry = entry.entry.index();
  }
  CHECK(replay.verdict.fault->region == fmt::format("entry {}", score_entry));
  CHECK(replay.verdict.fault->reason.find("from the recorded D and E follows") !=
        std::string::npos);
}

TEST_CASE("a posting that is not the rules' is caught, though chain and checkpoint agree with it") {
  SmallLog small(2);
  small.log.RunRound(small.campaign, {{small.teachers[0], {.phi_q32 = kNat / 10}},
                                      {small.teachers[1], {.phi_q32 = kNat / 20}}});
  std::vector<ledger::LoggedEntry> entries = small.log.entries;
  const size_t forged = entries.size() - 1;
  REQUIRE(entries[forged].intent.has_settle());
  v1::Entry entry = entries[forged].entry;
  REQUIRE(entry.postings_size() == 3);  // escrow to two teachers: one credit goes to the other
  entry.mutable_postings(1)->set_amount(entry.postings(1).amount() + 1);
  entry.mutable_postings(2)->set_amount(entry.postings(2).amount() - 1);
  entries[forged] = Value(ledger::DecodeEntry(ledger::Encode(entry)));
  const Replay replay = Replayed(BundleOf(small.log, entries), KeyOf(small.log));
  REQUIRE(replay.verdict.fault.has_value());
  CHECK(replay.verdict.fault->region == fmt::format("entry {}", forged));
  CHECK(replay.verdict.fault->part == "postings");
}

TEST_CASE("another key than the log's is said to be that") {
  SmallLog small(1);
  const auto other =
      ledger::MakeVerifierKey("crowdteach-0000000000000000", testing::TestKey(77).public_key());
  const Replay replay = Replayed(BundleOf(small.log), other);
  REQUIRE(replay.verdict.fault.has_value());
  CHECK(replay.verdict.fault->reason.find("another log") != std::string::npos);
}

TEST_CASE("the key must be pinned, as text or in a file") {
  using testing::Refused;
  SmallLog small(1);
  CHECK(Refused(PinnedKey(""), absl::StatusCode::kInvalidArgument, "--key is missing"));
  CHECK(Refused(PinnedKey("nonsense"), absl::StatusCode::kInvalidArgument, "neither a file"));
  const std::string vkey = small.log.state.genesis().log_vkey();
  CHECK(Value(PinnedKey(vkey)).public_key == small.log.log_key.public_key());
  learning::TestFolder folder;
  std::ofstream(folder.File("log.vkey")) << vkey << "\n";
  CHECK(Value(PinnedKey(folder.File("log.vkey"))).public_key == small.log.log_key.public_key());
}

// scripts/verify_bundle.py shares no code with us: both must say the same.
bool PythonAccepts(const std::string& bundle, const std::string& vkey) {
  learning::TestFolder folder;
  std::ofstream(folder.File("b"), std::ios::binary) << bundle;
  const std::string command =
      fmt::format("python3 {}/scripts/verify_bundle.py {} --key '{}' > {}", CROWDTEACH_SOURCE_DIR,
                  folder.File("b"), vkey, folder.File("out"));
  const int code = std::system(command.c_str());
  INFO(learning::ReadBytes(folder.File("out")));
  REQUIRE(WIFEXITED(code));
  REQUIRE((WEXITSTATUS(code) == 0 || WEXITSTATUS(code) == 6));
  return WEXITSTATUS(code) == 0;
}

TEST_CASE("the second verifier agrees on good and changed bundles") {
  SmallLog small(2);
  small.log.RunRound(small.campaign, {{small.teachers[0], {.phi_q32 = kNat / 10}}});
  small.log.CloseAndRefund(small.campaign);
  const std::string good = BundleOf(small.log);
  const std::string vkey = small.log.state.genesis().log_vkey();
  REQUIRE(PythonAccepts(good, vkey));
  CHECK_FALSE(PythonAccepts(good, ledger::FormatVkey(ledger::MakeVerifierKey(
                                      KeyOf(small.log).name, testing::TestKey(9).public_key()))));
  CHECK_FALSE(PythonAccepts(good.substr(0, good.size() - 1), vkey));
  CHECK_FALSE(PythonAccepts(good + "x", vkey));
  for (size_t i = 3; i < good.size(); i += good.size() / 6) {
    INFO("byte " << i);
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    CHECK(Replayed(bad, KeyOf(small.log)).verdict.fault.has_value());
    CHECK_FALSE(PythonAccepts(bad, vkey));
  }
}

}  // namespace
}  // namespace crowdteach::audit
