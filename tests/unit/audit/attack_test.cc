// A coordinator that lies with all keys in hand: each lie is found at its entry, for its reason;
// and the second verifier, which knows no rules, agrees about the rest.
#include "tests/unit/audit/attack_world.h"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "ledger/audit/verify.h"
#include "proto/base/exit_codes.h"
#include "tests/support/catch.h"

namespace crowdteach::audit {
namespace {

// What scripts/verify_bundle.py says of each bundle: "ok: …" or "fault: ‹region›: …".
std::vector<std::string> Second(const std::vector<std::string>& bundles, const std::string& vkey) {
  learning::TestFolder folder;
  std::string paths;
  for (size_t i = 0; i < bundles.size(); ++i) {
    const std::string path = folder.File(fmt::format("b{}", i));
    std::ofstream(path, std::ios::binary) << bundles[i];
    paths += path + " ";
  }
  const std::string out = folder.File("out");
  const int code = std::system(fmt::format("python3 {}/scripts/verify_bundle.py {} --key '{}' > {}",
                                           CROWDTEACH_SOURCE_DIR, paths, vkey, out)
                                   .c_str());
  REQUIRE(WIFEXITED(code));
  REQUIRE((WEXITSTATUS(code) == 0 || WEXITSTATUS(code) == 6));
  std::istringstream lines(learning::ReadBytes(out));
  std::vector<std::string> said;
  for (std::string line; std::getline(lines, line);) {
    said.push_back(line.substr(line.find(": ") + 2));
  }
  REQUIRE(said.size() == bundles.size());
  return said;
}

std::string Said(const Replay& replay) {
  if (!replay.verdict.fault) return "nothing";
  return fmt::format("{} ({}): {}", replay.verdict.fault->region, replay.verdict.fault->part,
                     replay.verdict.fault->reason);
}

TEST_CASE("every lie is found at its entry and for its reason") {
  const HonestLog honest;
  const ledger::VerifierKey key = KeyOf(honest.log);
  REQUIRE(Said(Replayed(BundleOf(honest.log), key)) == "nothing");
  std::vector<Attack> attacks = AttacksOnRounds();
  for (auto more : {AttacksOnMoney(), AttacksOnEntries()}) {
    attacks.insert(attacks.end(), more.begin(), more.end());
  }
  std::vector<std::string> bundles;
  std::vector<std::string> regions;
  for (const Attack& attack : attacks) {
    INFO(attack.name);
    const size_t at = IndexOf(honest, attack.body, attack.nth);
    Forgery forgery(honest, at);
    attack.forge(forgery);
    bundles.push_back(forgery.Bundle());
    regions.push_back(fmt::format("entry {}", at));
    const Replay replay = Replayed(bundles.back(), key);
    INFO("found: " << Said(replay));
    REQUIRE(replay.verdict.fault.has_value());
    CHECK(replay.verdict.fault->region == regions.back());
    CHECK(replay.verdict.fault->part == attack.part);
    CHECK(replay.verdict.fault->reason.find(attack.reason) != std::string::npos);
    CHECK(replay.verdict.entries <= at);
  }
  // A lie that only the rules show passes where none are known: nothing else about it is wrong.
  const std::vector<std::string> second = Second(bundles, ledger::FormatVkey(key));
  for (size_t i = 0; i < attacks.size(); ++i) {
    INFO(attacks[i].name << ": the second verifier says " << second[i]);
    CHECK(second[i].starts_with(attacks[i].format ? "fault: " + regions[i] + ":" : "ok:"));
  }
}

TEST_CASE("a bundle whose frame is false is refused by both verifiers, in the same region") {
  const HonestLog honest;
  const ledger::VerifierKey key = KeyOf(honest.log);
  const std::vector<std::string> entries = BytesOf(honest.log.entries);
  const std::string note = NoteOf(honest.log, entries);
  const uint64_t count = entries.size();
  const std::string good = BundleOf(count, entries, note);
  const std::vector<std::string> fewer(entries.begin(), entries.end() - 1);
  const std::string body = good.substr(29, good.size() - 29 - note.size() - 4);
  const auto with_count = [&](uint64_t claimed) { return BundleOf(claimed, entries, note); };
  ledger::MerkleTree tree;
  for (const std::string& bytes : entries) tree.Append(base::LeafHash(bytes));
  const auto signed_as = [&](const std::string& origin, uint64_t size) {
    return ledger::SignCheckpoint({origin, size, tree.Root()}, honest.log.log_key);
  };
  std::string twice = note;
  twice += note.substr(note.find("\n\n") + 2);
  struct Frame {
    std::string name;
    std::string bundle;
    std::set<std::string> regions;  // either verifier's: they see a wrong count from two sides
  };
  const std::string past = fmt::format("entry {}", count);
  const std::set<std::string> wrong_count = {"header", past};
  const std::vector<Frame> frames = {
      {"a count beyond all memory", with_count(~uint64_t{0}), wrong_count},
      {"a count one too large", with_count(count + 1), wrong_count},
      {"a count one too small", with_count(count - 1), {"header", "checkpoint"}},
      {"a count of none", with_count(0), {"header", "checkpoint"}},
      {"nothing at all", "", {"header"}},
      {"no version", "crowdteach-bundle/v0\n" + good.substr(21), {"header"}},
      {"a byte behind", good + '\0', {"checkpoint"}},
      {"a bundle behind", good + good, {"checkpoint"}},
      {"a checkpoint cut", good.substr(0, good.size() - 1), {"checkpoint"}},
      {"no checkpoint", good.substr(0, 29 + body.size()), {"checkpoint"}},
      {"the last entry dropped", BundleOf(count - 1, fewer, note), {"header", "checkpoint"}},
      {"an older head",
       BundleOf(count, entries, NoteOf(honest.log, fewer)),
       {"header", "checkpoint"}},
      {"another size's head",
       BundleOf(count, entries, signed_as(key.name, count + 1)),
       {"header", "checkpoint"}},
      {"another log's head",
       BundleOf(count, entries, signed_as("elsewhere", count)),
       {"checkpoint", "signature 0"}},
      {"two signatures", BundleOf(count, entries, twice), {"checkpoint", "signature 1"}},
      {"an entry of no bytes",
       good.substr(0, 29) + std::string(4, '\0') + good.substr(29),
       {"entry 0"}},
      {"an entry of 4 GiB",
       good.substr(0, 29) + std::string(4, '\xff') + good.substr(33),
       {"entry 0"}},
      {"an entry of 64 KiB", BundleOf(1, {std::string(65536, 'e')}, note), {"entry 0"}},
      {"entries exchanged",
       [&] {
         std::vector<std::string> exchanged = entries;
         std::swap(exchanged[count - 2], exchanged[count - 1]);
         return BundleOf(count, exchanged, NoteOf(honest.log, exchanged));
       }(),
       {fmt::format("entry {}", count - 2)}},
  };
  std::vector<std::string> bundles = {good};
  for (const Frame& frame : frames) bundles.push_back(frame.bundle);
  const std::vector<std::string> second = Second(bundles, ledger::FormatVkey(key));
  CHECK(second[0] == fmt::format("ok: {} entries", count));
  for (size_t i = 0; i < frames.size(); ++i) {
    const Frame& frame = frames[i];
    const Replay replay = Replayed(frame.bundle, key);
    INFO(frame.name << ": " << Said(replay) << "; the second verifier says " << second[i + 1]);
    REQUIRE(replay.verdict.fault.has_value());
    CHECK(frame.regions.count(replay.verdict.fault->region) == 1);
    const std::string region = second[i + 1].substr(7, second[i + 1].find(':', 7) - 7);
    CHECK(second[i + 1].starts_with("fault: "));
    CHECK(frame.regions.count(region) == 1);
  }
}

// What the files of a folder can be besides whole.
TEST_CASE("artifacts that are cut, of another kind or no files are never believed") {
  struct Lie {
    std::string name;
    std::function<void(const RealCampaign&, const std::string& path)> tell;
    bool missing;  // else a false artifact
  };
  const std::vector<Lie> lies = {
      {"cut",
       [](const auto&, const std::string& path) {
         std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
       },
       false},
      {"empty", [](const auto&, const std::string& path) { std::filesystem::resize_file(path, 0); },
       false},
      {"longer",
       [](const auto&, const std::string& path) {
         std::filesystem::resize_file(path, std::filesystem::file_size(path) + 1);
       },
       false},
      {"another kind",
       [](const RealCampaign& world, const std::string& path) {
         const bool is_validation = path == world.Path(world.validation);
         std::filesystem::copy_file(world.Path(is_validation ? world.gradient : world.validation),
                                    path, std::filesystem::copy_options::overwrite_existing);
       },
       false},
      {"a folder",
       [](const auto&, const std::string& path) {
         std::filesystem::remove(path);
         std::filesystem::create_directory(path);
       },
       true},
      {"a link to itself",
       [](const auto&, const std::string& path) {
         std::filesystem::remove(path);
         std::filesystem::create_symlink(path, path);
       },
       true},
      {"a device",
       [](const auto&, const std::string& path) {
         std::filesystem::remove(path);
         std::filesystem::create_symlink("/dev/zero", path);
       },
       true},
  };
  RealCampaign world;
  world.RunRound();
  world.log.CloseAndRefund(world.campaign);
  const std::string model = world.Path(world.log.Campaign(world.campaign).model_digest);
  for (const std::string& path : {model, world.Path(world.updates.begin()->second),
                                  world.Path(world.gradient), world.Path(world.validation)}) {
    const std::string whole = learning::ReadBytes(path);
    for (const Lie& lie : lies) {
      INFO(lie.name << ": " << path);
      lie.tell(world, path);
      const Report report = Value(Verify(world.Export(), KeyOf(world.log)));
      CHECK(report.exit_code() == (lie.missing ? kExitIncomplete : kExitDisproved));
      if (!lie.missing) {
        REQUIRE(report.fault().has_value());
        CHECK(report.fault()->region ==
              "artifact " + std::filesystem::path(path).filename().string());
      }
      std::filesystem::remove_all(path);
      std::ofstream(path, std::ios::binary) << whole;
    }
  }
  CHECK(Value(Verify(world.Export(), KeyOf(world.log))).exit_code() == kExitOk);
}

// One file cannot be two things: an update's digest where a gradient's should be.
TEST_CASE("an artifact of one kind does not stand for another's") {
  RealCampaign world;
  world.RunRound([&](v1::Aggregate*, v1::Score* score) {
    score->set_gradient_digest(base::Bytes(world.updates.begin()->second));
  });
  world.log.CloseAndRefund(world.campaign);
  const Report report = Value(Verify(world.Export(), KeyOf(world.log)));
  REQUIRE(report.exit_code() == kExitDisproved);
  CHECK(report.fault()->region == "artifact " + base::Hex(world.updates.begin()->second));
  CHECK(report.fault()->part == "gradient");
}

}  // namespace
}  // namespace crowdteach::audit
