#include "ledger/bundle.h"

#include <google/protobuf/unknown_field_set.h>

#include <random>

#include "ledger/merkle.h"
#include "ledger/rules_version.h"
#include "ledger/state.h"
#include "proto/base/bytes.h"
#include "tests/support/ledger_builder.h"
#include "tests/unit/ledger/log_fixture.h"

namespace crowdteach::ledger {
namespace {

std::string BundleOf(const LogStore& store, uint64_t count, std::string_view checkpoint) {
  std::string bundle;
  RequireOk(WriteBundle(store, count, checkpoint, [&](std::string_view bytes) {
    bundle += bytes;
    return OkStatus();
  }));
  return bundle;
}

BundleVerdict Replay(std::string_view bundle, const VerifierKey& log) {
  State state;
  return Value(VerifyBundle(StringSource(bundle), log,
                            [&](const LoggedEntry& entry) { return state.Apply(entry); }));
}

// A small log in a bundle.
struct BundleFixture : LogFixture {
  explicit BundleFixture(int issues) {
    Begin(issues);
    bundle = BundleOf(*store, log->size(), log->checkpoint());
  }
  std::string bundle;
};

// Which region each byte of an intact bundle lies in; the part for a length prefix.
struct Place {
  std::string region;
  std::string part;
};

std::vector<Place> PlacesOf(const std::string& bundle) {
  std::vector<Place> places(29, {"header", ""});
  const uint64_t count = base::ReadU64(bundle.data() + 21);
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t length = base::ReadU32(bundle.data() + places.size());
    places.insert(places.end(), 4, {fmt::format("entry {}", i), "length"});
    places.insert(places.end(), length, {fmt::format("entry {}", i), ""});
  }
  places.insert(places.end(), 4, {"checkpoint", ""});
  const size_t block = bundle.rfind("\n\n") + 2;
  places.resize(block, {"checkpoint", ""});
  places.resize(bundle.size(), {"signature 0", ""});
  return places;
}

void RequireCaught(const std::string& bad, const VerifierKey& log, const Place& place) {
  const BundleVerdict verdict = Replay(bad, log);
  REQUIRE(verdict.fault.has_value());
  INFO(verdict.fault->region << ", " << verdict.fault->part << ": " << verdict.fault->reason);
  REQUIRE(verdict.fault->region == place.region);
  if (!place.part.empty()) REQUIRE(verdict.fault->part == place.part);
}

}  // namespace

TEST_CASE("a bundle is verified and replayed") {
  BundleFixture f(4);
  const BundleVerdict verdict = Replay(f.bundle, f.keys.vkey);
  REQUIRE_FALSE(verdict.fault.has_value());
  REQUIRE(verdict.entries == 6);
  REQUIRE(verdict.checkpoint == Value(OpenCheckpoint(f.log->checkpoint(), f.keys.vkey)));
}

TEST_CASE("a bundle of a newer format is not called false") {
  BundleFixture f(2);
  f.bundle.replace(f.bundle.find("/v1"), 3, "/v2");
  const auto verdict = VerifyBundle(StringSource(f.bundle), f.keys.vkey,
                                    [](const LoggedEntry&) { return OkStatus(); });
  REQUIRE(absl::IsFailedPrecondition(verdict.status()));
  REQUIRE(Message(verdict.status()).find("upgrade crowdteach-audit") != std::string::npos);
}

TEST_CASE("rules of a newer version are found in entry 0, whatever else that version put there") {
  const testing::LedgerBuilder log;
  v1::Entry entry = log.entries[0].entry;
  v1::Intent intent = log.entries[0].intent;
  const VerifierKey key = Value(ParseVkey(intent.genesis_body().log_vkey()));
  const auto check = [&](const SigningKey& signer) {
    *entry.mutable_intent() = SignIntent(intent, signer);
    return CheckRulesOfFirstEntry(entry.SerializeAsString(), key, "crowdteach-audit");
  };
  REQUIRE(check(log.operator_key).ok());
  v1::Genesis* genesis = intent.mutable_genesis_body();
  genesis->set_rules_version(7);
  genesis->GetReflection()->MutableUnknownFields(genesis)->AddVarint(99, 1);
  REQUIRE(check(log.issuer_key).ok());  // a changed entry is not a newer one
  const Status newer = check(log.operator_key);
  REQUIRE(absl::IsFailedPrecondition(newer));
  REQUIRE(Message(newer) ==
          "this ledger uses rules version 7, known here is 0: upgrade crowdteach-audit");
  REQUIRE(CheckRulesOfFirstEntry("no entry", key, "x").ok());
  genesis->set_log_vkey("another+00000000+AA==");
  REQUIRE(check(log.operator_key).ok());
  // In a bundle it is what the verifier says, not a fault of the entry.
  BundleFixture f(1);
  intent = log.entries[0].intent;
  intent.mutable_genesis_body()->set_rules_version(7);
  *entry.mutable_intent() = SignIntent(intent, log.operator_key);
  const std::string bytes = entry.SerializeAsString();
  std::string bundle = f.bundle.substr(0, 29);
  base::AppendU32(bundle, static_cast<uint32_t>(bytes.size()));
  bundle += bytes;
  const auto verdict =
      VerifyBundle(StringSource(bundle), key, [](const LoggedEntry&) { return OkStatus(); });
  REQUIRE(absl::IsFailedPrecondition(verdict.status()));
}

TEST_CASE("every changed byte of a bundle is caught and its region named") {
  BundleFixture f(2);
  const std::vector<Place> places = PlacesOf(f.bundle);
  REQUIRE(places.size() == f.bundle.size());
  for (size_t i = 0; i < f.bundle.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string bad = f.bundle;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      INFO("byte " << i << " flipped by " << flip);
      RequireCaught(bad, f.keys.vkey, places[i]);
    }
  }
}

TEST_CASE("work ahead sees each entry once, before its visit, and changes no verdict") {
  BundleFixture f(2 * static_cast<int>(kBundleRun));
  const auto verify = [&](const std::string& bundle) {
    std::vector<base::Hash> seen;
    size_t visited = 0;
    const auto visit = [&](const LoggedEntry& entry) {
      REQUIRE(visited < seen.size());
      REQUIRE(seen[visited++] == entry.leaf);
      return OkStatus();
    };
    const auto ahead = [&](std::span<const LoggedEntry* const> entries) {
      REQUIRE(entries.size() <= kBundleRun + 2);
      for (const LoggedEntry* entry : entries) seen.push_back(entry->leaf);
    };
    const BundleVerdict with = Value(VerifyBundle(StringSource(bundle), f.keys.vkey, visit, ahead));
    const BundleVerdict without = Value(VerifyBundle(
        StringSource(bundle), f.keys.vkey, [](const LoggedEntry&) { return OkStatus(); }));
    REQUIRE(with.entries == without.entries);
    REQUIRE(with.fault.has_value() == without.fault.has_value());
    if (!with.fault) return visited;
    REQUIRE(with.fault->region == without.fault->region);
    REQUIRE(with.fault->part == without.fault->part);
    REQUIRE(with.fault->reason == without.fault->reason);
    return visited;
  };
  REQUIRE(verify(f.bundle) == f.log->size());
  const uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 60; ++i) {
    std::string bad = f.bundle;
    const size_t at = random() % bad.size();
    INFO("byte " << at);
    bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    verify(bad);
  }
}

TEST_CASE("changed bytes of a whole campaign are caught and their region named") {
  const uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  testing::LedgerBuilder log;
  const uint64_t owner = log.NewAccount(v1::OWNER);
  log.Issue(owner, 1000);
  const uint64_t campaign = log.OpenCampaign(owner, testing::SmallCampaign());
  for (int i = 0; i < 3; ++i) log.NewTeacher(campaign);
  log.OpenRound(campaign);

  const VerifierKey key = Value(ParseVkey(log.state.genesis().log_vkey()));
  MerkleTree tree;
  AppendRequest request;
  for (const LoggedEntry& entry : log.entries) {
    tree.Append(entry.leaf);
    request.entries.push_back(entry.bytes);
  }
  TemporaryFolder folder;
  const auto store = Value(SqliteLogStore::Open({.path = folder.File("log.db")}));
  request.epoch = Value(store->Claim());
  RequireOk(store->Append(request));
  const std::string checkpoint = SignCheckpoint({key.name, tree.size(), tree.Root()}, log.log_key);
  const std::string bundle = BundleOf(*store, tree.size(), checkpoint);
  const BundleVerdict verdict = Replay(bundle, key);
  REQUIRE_FALSE(verdict.fault.has_value());

  const std::vector<Place> places = PlacesOf(bundle);
  for (int i = 0; i < 150; ++i) {
    const size_t at = random() % bundle.size();
    std::string bad = bundle;
    bad[at] = static_cast<char>(bad[at] ^ (1 + random() % 255));
    INFO("byte " << at << " changed");
    RequireCaught(bad, key, places[at]);
  }
}

TEST_CASE("shortened and lengthened bundles are refused") {
  BundleFixture f(1);
  for (size_t size = 0; size < f.bundle.size(); ++size) {
    INFO("first " << size << " bytes");
    REQUIRE(Replay(std::string_view(f.bundle).substr(0, size), f.keys.vkey).fault.has_value());
  }
  REQUIRE(Replay(f.bundle + "x", f.keys.vkey).fault->region == "checkpoint");
}

TEST_CASE("parts of an entry are told apart") {
  BundleFixture f(2);
  const auto with_entry = [&](uint64_t index, const auto& change) {
    std::string out(f.bundle.substr(0, 29));
    for (uint64_t i = 0; i < f.log->size(); ++i) {
      std::string bytes = Value(f.store->ReadEntry(i));
      if (i == index) {
        v1::Entry entry = Value(DecodeEntry(bytes)).entry;
        change(entry);
        bytes = Encode(entry);
      }
      base::AppendU32(out, static_cast<uint32_t>(bytes.size()));
      out += bytes;
    }
    base::AppendU32(out, static_cast<uint32_t>(f.log->checkpoint().size()));
    return Replay(out + f.log->checkpoint(), f.keys.vkey).fault;
  };
  const uint64_t last = f.log->size() - 1;
  for (const uint64_t index : {uint64_t{1}, uint64_t{2}, last}) {
    INFO("entry " << index);
    const std::string region = fmt::format("entry {}", index);
    const auto require = [&](const std::optional<BundleFault>& fault, std::string_view part) {
      REQUIRE(fault.has_value());
      INFO(fault->region << ", " << fault->part << ": " << fault->reason);
      REQUIRE(fault->region == region);
      REQUIRE(fault->part == part);
    };
    require(with_entry(index, [](v1::Entry& e) { e.set_index(e.index() + 1); }), "index");
    require(with_entry(index, [](v1::Entry& e) { (*e.mutable_prev())[3] ^= 1; }), "prev");
    require(with_entry(index, [](v1::Entry& e) { e.set_time_ms(e.time_ms() + 1); }), "time");
    require(with_entry(index, [](v1::Entry& e) { e.set_time_ms(e.time_ms() - 10'000); }), "time");
    // Beyond what the rules let the intent be logged at.
    if (index != last) {
      require(with_entry(index, [](v1::Entry& e) { e.set_time_ms(e.time_ms() + (1 << 30)); }),
              "time");
    }
    require(
        with_entry(index, [](v1::Entry& e) { (*e.mutable_intent()->mutable_signature())[3] ^= 1; }),
        "intent");
    if (index == 1) continue;
    require(with_entry(index,
                       [](v1::Entry& e) {
                         e.mutable_postings(0)->set_amount(e.postings(0).amount() + 1);
                         e.mutable_postings(1)->set_amount(e.postings(1).amount() - 1);
                       }),
            "postings");
    require(with_entry(index, [](v1::Entry& e) { e.clear_postings(); }), "postings");
  }
}

TEST_CASE("signatures of other keys are refused in a bundle") {
  BundleFixture f(0);
  Note note = Value(ParseNote(f.log->checkpoint()));
  SignNote(f.keys.op, "someone", &note);
  const std::string bundle = BundleOf(*f.store, f.log->size(), FormatNote(note));
  REQUIRE(Replay(bundle, f.keys.vkey).fault->region == "signature 1");
}

TEST_CASE("an empty log has a bundle too") {
  LogFixture f;
  const std::string checkpoint =
      SignCheckpoint({f.keys.origin, 0, MerkleTree().Root()}, f.keys.log);
  const BundleVerdict verdict = Replay(BundleOf(*f.store, 0, checkpoint), f.keys.vkey);
  REQUIRE_FALSE(verdict.fault.has_value());
  REQUIRE(verdict.checkpoint.size == 0);
}

}  // namespace crowdteach::ledger
