// What an audit says of that which rests on somebody's word: every kind, and no other entry.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "ledger/audit/verify.h"
#include "ledger/selection.h"
#include "proto/base/exit_codes.h"
#include "tests/support/catch.h"
#include "tests/unit/audit/audit_world.h"

namespace crowdteach::audit {
namespace {

using testing::kNat;
using testing::RoundPlan;

// Four teachers whose stakes cover scores of 2^61, under a norm cap that rejects.
struct Doubtful {
  LedgerBuilder log;
  uint64_t campaign = 0;
  std::vector<uint64_t> teachers;

  Doubtful() {
    log.finish_score = ScoresThatFollow;
    v1::CampaignOpen open = testing::SmallCampaign();
    v1::Terms& terms = *open.mutable_terms();
    terms.set_rounds(10);
    terms.set_quorum(1);
    terms.set_max_aborts(10);
    terms.set_norm_rule(v1::REJECT);
    terms.set_credits_per_nat(1);
    terms.set_stake(uint64_t{1} << 33);
    const uint64_t owner = log.NewAccount(v1::OWNER);
    log.Issue(owner, terms.budget());
    campaign = log.OpenCampaign(owner, open);
    for (int i = 0; i < 4; ++i) teachers.push_back(log.NewTeacher(campaign));
  }

  uint64_t Last() const { return log.entries.size() - 1; }
  void Abort(v1::AbortReason reason) { log.Say(0, log.AbortOf(campaign, reason)); }
  void ThroughAggregate() {
    log.ThroughReveals(campaign, {});
    log.Say(0, log.AggregateOf(campaign, {}));
  }
  // All but `absent` are candidates, commit and reveal.
  void RevealWithout(uint64_t absent) {
    std::vector<uint64_t> there = teachers;
    std::erase(there, absent);
    log.Say(0, Value(ledger::Select(log.state, campaign, there)));
    for (const uint64_t account : there) log.Say(account, log.CommitOf(campaign, account, {}));
    log.Say(0, log.CommitCloseOf(campaign));
    for (const uint64_t account : there) log.Say(account, log.RevealOf(campaign, account, {}));
  }
  std::vector<uint64_t> All(const std::function<bool(const v1::Intent&)>& wanted) const {
    std::vector<uint64_t> found;
    for (const auto& entry : log.entries) {
      if (wanted(entry.intent)) found.push_back(entry.entry.index());
    }
    return found;
  }
};

TEST_CASE("every claim is listed with its entries, and nothing else is one") {
  Doubtful world;
  LedgerBuilder& log = world.log;
  const auto [a, b, c, d] =
      std::tie(world.teachers[0], world.teachers[1], world.teachers[2], world.teachers[3]);
  Claims expected;
  const auto note = [&](Claim claim) { expected[claim].push_back(world.Last()); };

  // Round 1: one does not reveal, one does not commit.
  log.ThroughCommits(world.campaign, {{c, {.commits = false}}});
  note(Claim::kNotCommitted);
  for (const uint64_t account : {a, d}) {
    log.Say(account, log.RevealOf(world.campaign, account, {}));
  }
  log.now_ms += 1000;
  log.Say(0, log.RejectOf(world.campaign, b, v1::NO_REVEAL));
  note(Claim::kNoReveal);
  log.Say(0, log.AggregateOf(world.campaign, {}));
  log.Say(0, log.ScoreOf(world.campaign, {{a, {.phi_q32 = kNat / 10}}}));
  log.Say(0, log.SettleOf(world.campaign));

  // Round 2: one is said to be away; a wrong size, a norm, and the last one diverges.
  log.now_ms += 1;
  world.RevealWithout(c);
  expected[Claim::kNotConnected] = {world.Last() - 7};
  log.Say(0, log.RejectOf(world.campaign, b, v1::SHAPE));
  note(Claim::kShape);
  log.Say(0, log.RejectOf(world.campaign, d, v1::NORM));
  note(Claim::kNorm);
  log.Say(0, log.AggregateOf(world.campaign, {}));
  log.Say(0, log.RejectOf(world.campaign, a, v1::DIVERGES));
  note(Claim::kDiverges);
  world.Abort(v1::REVEAL_QUORUM);

  // Rounds 3 to 5: what the coordinator says went wrong.
  for (const auto& [reason, claim] : {std::pair(v1::NOT_FINITE, Claim::kNotFinite),
                                      std::pair(v1::SCORE_RANGE, Claim::kScoreRange),
                                      std::pair(v1::WORKER_FAILED, Claim::kWorkerFailed)}) {
    world.ThroughAggregate();
    world.Abort(reason);
    note(claim);
  }

  // Rounds 6 and 7: the sum of a's scores, on the ledger, goes out of range: no claim. Round 8:
  // nobody commits.
  const int64_t huge = (int64_t{1} << 61) + 1;
  const RoundPlan plan = {{a, {.phi_q32 = huge}},
                          {b, {.phi_q32 = -huge / 2}},
                          {c, {.phi_q32 = -huge + huge / 2 + kNat / 10}}};
  log.RunRound(world.campaign, plan);
  log.ThroughScore(world.campaign, plan);
  world.Abort(v1::SCORE_RANGE);
  const testing::TeacherPlan silent{.commits = false};
  log.ThroughCommits(world.campaign, {{a, silent}, {b, silent}, {c, silent}, {d, silent}});
  note(Claim::kNotCommitted);
  log.CloseAndRefund(world.campaign);

  expected[Claim::kPaid] = world.All([](const v1::Intent& intent) { return intent.has_issue(); });
  expected[Claim::kExamples] =
      world.All([](const v1::Intent& intent) { return intent.has_enrol(); });
  expected[Claim::kMeasured] = world.All(
      [](const v1::Intent& intent) { return intent.has_campaign_open() || intent.has_score(); });
  const Replay replay = Replayed(BundleOf(log), KeyOf(log));
  INFO((replay.verdict.fault ? replay.verdict.fault->region + replay.verdict.fault->reason : ""));
  REQUIRE_FALSE(replay.verdict.fault.has_value());
  CHECK(replay.history.claims == expected);

  // And the report names them all, in words and for programs.
  learning::TestFolder folder;
  std::ofstream(folder.File("log.bundle"), std::ios::binary) << BundleOf(log);
  const Report report = Value(Verify(Value(FindEvidence(folder.path(), "")), KeyOf(log)));
  CHECK(report.exit_code() == kExitOk);
  std::map<std::string, std::vector<uint64_t>> listed;
  const auto json = nlohmann::json::parse(ReportJson(report));
  for (const auto& item : json["unchecked"]) {
    listed[item["kind"]] = item["entries"].get<std::vector<uint64_t>>();
    CHECK(item["count"] == item["entries"].size());
    CHECK(item["missing"] == false);
    CHECK_FALSE(item["why"].get<std::string>().empty());
  }
  CHECK(listed["worker_failed"] == expected[Claim::kWorkerFailed]);
  CHECK(listed["not_finite"] == expected[Claim::kNotFinite]);
  CHECK(listed["score_range"] == expected[Claim::kScoreRange]);
  CHECK(listed["no_reveal"] == expected[Claim::kNoReveal]);
  CHECK(listed["diverges"] == expected[Claim::kDiverges]);
  CHECK(listed["shape"] == expected[Claim::kShape]);
  CHECK(listed["norm"] == expected[Claim::kNorm]);
  CHECK(listed["not_connected"] == expected[Claim::kNotConnected]);
  CHECK(listed["not_committed"] == expected[Claim::kNotCommitted]);
  CHECK(listed["measurements"] == expected[Claim::kMeasured]);
  CHECK(listed["aggregates"].size() == 10);        // 7 AGGREGATE, 3 SCORE
  CHECK(listed["gradient_products"].size() == 3);  // the SCOREs
  CHECK(listed["validation_sets"] == std::vector<uint64_t>{world.campaign});
  CHECK(listed.count("time_and_order") == 1);
  CHECK(listed.size() == expected.size() + 4);
  const std::string text = ReportText(report);
  INFO(text);
  CHECK(text.find(fmt::format("WORKER_FAILED: that a worker failed: only the coordinator knows\n"
                              "    1 entry: {}\n",
                              expected[Claim::kWorkerFailed][0])) != std::string::npos);
}

// A round whose first teacher sends `first`, rejected as `reason`; the others are in order.
void Reject(RealCampaign& world, const std::vector<int32_t>& first, v1::RejectReason reason) {
  LedgerBuilder& log = world.log;
  const std::vector<uint64_t> selected = log.OpenRound(world.campaign);
  const std::string salt(32, 's');
  std::map<uint64_t, v1::UpdateReveal> reveals;
  for (const uint64_t account : selected) {
    const bool is_first = account == selected.front();
    const std::vector<int32_t> values =
        is_first ? first : std::vector<int32_t>(world.format.layout.trainable, 7);
    world.updates[account] = world.PublishValues(base::BlobKind::kUpdate, "", values);
    v1::UpdateCommit commit;
    commit.set_campaign(world.campaign);
    commit.set_round(1);
    commit.set_commitment(base::Bytes(ledger::SealedCommitment(
        log.state.genesis_hash(), world.campaign, 1, account, world.updates[account], salt)));
    log.Say(account, commit);
    v1::UpdateReveal& reveal = reveals[account];
    reveal.set_campaign(world.campaign);
    reveal.set_round(1);
    reveal.set_update_digest(base::Bytes(world.updates[account]));
    reveal.set_salt(salt);
  }
  log.Say(0, log.CommitCloseOf(world.campaign));
  for (const auto& [account, reveal] : reveals) log.Say(account, reveal);
  log.Say(0, log.RejectOf(world.campaign, selected.front(), reason));
}

TEST_CASE("the refused update shows whether SHAPE and NORM were true, if it is there") {
  struct Case {
    v1::RejectReason reason;
    std::vector<int32_t> values;
    bool true_reason;
  };
  const std::vector<Case> cases = {{v1::SHAPE, std::vector<int32_t>(3, 5), true},
                                   {v1::SHAPE, std::vector<int32_t>(10, 5), false},
                                   {v1::NORM, std::vector<int32_t>(10, 1 << 20), true},
                                   {v1::NORM, std::vector<int32_t>(10, 5), false},
                                   {v1::NORM, std::vector<int32_t>(3, 1 << 20), false}};
  for (const Case& one : cases) {
    INFO(v1::RejectReason_Name(one.reason) << ", " << one.values.size() << " values");
    RealCampaign world(v1::REJECT);
    Reject(world, one.values, one.reason);
    const uint64_t entry = world.log.entries.size() - 1;
    const std::string kind = one.reason == v1::SHAPE ? "shape" : "norm";
    const auto item_in = [&](const Report& report) -> const Unchecked* {
      for (const Unchecked& item : report.artifacts.unchecked) {
        if (item.kind == kind) return &item;
      }
      return nullptr;
    };
    const ledger::VerifierKey key = KeyOf(world.log);
    const Report whole = Value(Verify(world.Export(), key));
    CHECK(item_in(whole) == nullptr);
    CHECK(whole.artifacts.shown_rejections == std::set<uint64_t>{entry});
    CHECK(whole.exit_code() == (one.true_reason ? kExitOk : kExitDisproved));
    if (!one.true_reason) CHECK(whole.fault()->region == fmt::format("entry {}", entry));
    // Without the update it is the coordinator's word again: missing if artifacts were asked for.
    std::filesystem::remove(world.Path(world.updates.begin()->second));
    const Report without = Value(Verify(world.Export(), key));
    REQUIRE(item_in(without) != nullptr);
    CHECK(item_in(without)->missing);
    CHECK(item_in(without)->entries == std::vector<uint64_t>{entry});
    CHECK(without.exit_code() == kExitIncomplete);
    std::filesystem::remove_all(world.folder.File("artifacts"));
    const Report alone = Value(Verify(world.Export(), key));
    REQUIRE(item_in(alone) != nullptr);
    CHECK_FALSE(item_in(alone)->missing);
    CHECK(alone.exit_code() == kExitOk);
  }
}

}  // namespace
}  // namespace crowdteach::audit
