// Milestones, sequences and blobs, folded from histories.
#include "server/marks.h"

#include <algorithm>

#include "tests/unit/server/history.h"

namespace crowdteach::server {
namespace {

using testing::kNat;
using testing::TestHash;

uint64_t LastIndexOf(const testing::LedgerBuilder& log, v1::Intent::BodyCase body) {
  for (size_t i = log.entries.size(); i-- > 0;) {
    if (log.entries[i].intent.body_case() == body) return i;
  }
  return 0;
}

TEST_CASE("Each milestone is the latest entry of its kind") {
  SmallWorld world(4);
  const std::vector<uint64_t>& all = world.teachers;
  world.log.RunRound(world.id, {{all[0], {.phi_q32 = kNat / 4}}, {all[1], {.reveals = false}}});
  world.log.RunRound(world.id, {{all[2], {.phi_q32 = kNat / 8}}});
  const Marks marks = MarksOf(world.log);
  const CampaignMarks& found = marks.Campaign(world.id);
  REQUIRE(found.round_open == LastIndexOf(world.log, v1::Intent::kRoundOpen));
  REQUIRE(found.commit_close == LastIndexOf(world.log, v1::Intent::kRoundCommitClose));
  REQUIRE(found.score == LastIndexOf(world.log, v1::Intent::kScore));
  REQUIRE(found.settle == LastIndexOf(world.log, v1::Intent::kSettle));
  REQUIRE(found.rejects.empty());  // of the second round
  REQUIRE(found.close == 0);

  REQUIRE(found.history.size() == 3);
  REQUIRE(found.history[0].round == 0);
  REQUIRE(found.history[0].loss_q32 == static_cast<uint64_t>(2 * kNat));
  REQUIRE(found.history[1].round == 1);
  REQUIRE(found.history[1].loss_q32 == static_cast<uint64_t>(2 * kNat - kNat / 4));
  REQUIRE(found.history[2].loss_q32 == world.Now().loss_q32);
  REQUIRE(found.last_scores.at(all[2]) == kNat / 8);
  REQUIRE(found.last_scores.size() == 4);

  world.log.CloseAndRefund(world.id);
  const Marks closed = MarksOf(world.log);
  REQUIRE(closed.Campaign(world.id).close == LastIndexOf(world.log, v1::Intent::kCampaignClose));
  REQUIRE(closed.Campaign(world.id).refund == world.log.entries.size() - 1);
}

TEST_CASE("An account's entries: its own acts, its scores, and what posts to its balances") {
  SmallWorld world(3);
  const uint64_t ada = world.teachers[0];
  const uint64_t bob = world.teachers[1];
  // bob does not reveal: rejected, not scored.
  world.log.RunRound(world.id, {{ada, {.phi_q32 = kNat / 4}}, {bob, {.reveals = false}}});
  const Marks marks = MarksOf(world.log);
  const auto has = [&](uint64_t account, v1::Intent::BodyCase body) {
    const std::vector<uint64_t>& all = marks.EntriesOf(account);
    REQUIRE(std::is_sorted(all.begin(), all.end()));
    return std::count(all.begin(), all.end(), LastIndexOf(world.log, body));
  };
  for (const auto body : {v1::Intent::kScore, v1::Intent::kSettle}) {
    REQUIRE(has(ada, body) == 1);
    REQUIRE(has(world.teachers[2], body) == 1);  // scored 0, so nothing is posted to it
    REQUIRE(has(bob, body) == 0);
  }
  REQUIRE(has(bob, v1::Intent::kUpdateReject) == 1);
  REQUIRE(has(ada, v1::Intent::kUpdateReject) == 0);
  REQUIRE(has(ada, v1::Intent::kRoundOpen) == 0);
  REQUIRE(marks.EntriesOf(ada).front() == ada);  // its ACCOUNT_OPEN
  REQUIRE(marks.EntriesOf(0).empty());
  REQUIRE(marks.EntriesOf(9999).empty());
}

TEST_CASE("Rejects are of the open round") {
  SmallWorld world(4);
  REQUIRE(world.log.ThroughReveals(world.id, {{world.teachers[1], {.reveals = false}}}));
  const Marks marks = MarksOf(world.log);
  const auto& rejects = marks.Campaign(world.id).rejects;
  REQUIRE(rejects.size() == 1);
  REQUIRE(rejects.at(world.teachers[1]) == LastIndexOf(world.log, v1::Intent::kUpdateReject));
}

TEST_CASE("A scored round that aborts leaves no point in the history") {
  SmallWorld world(2);
  world.log.RunRound(world.id, {{world.teachers[0], {.phi_q32 = -kNat}}});  // uncovered
  const Marks marks = MarksOf(world.log);
  REQUIRE(marks.Campaign(world.id).abort == world.log.entries.size() - 1);
  REQUIRE(marks.Campaign(world.id).history.size() == 1);
  REQUIRE(marks.Campaign(world.id).last_scores.empty());
}

TEST_CASE("Every entry is found by its author's sequence number") {
  SmallWorld world(3);
  world.log.RunRound(world.id, {});
  const Marks marks = MarksOf(world.log);
  for (size_t i = 0; i < world.log.entries.size(); ++i) {
    const v1::Intent& intent = world.log.entries[i].intent;
    if (intent.sequence() == 0) continue;  // ACCOUNT_OPEN
    REQUIRE(marks.IndexOf(intent.account(), intent.sequence()) == i);
  }
  REQUIRE(marks.IndexOf(world.teachers[0], 0) == std::nullopt);
  REQUIRE(marks.IndexOf(world.teachers[0],
                        world.log.state.FindAccount(world.teachers[0])->next_sequence) ==
          std::nullopt);
  REQUIRE(marks.IndexOf(9999, 1) == std::nullopt);
}

TEST_CASE("A blob's uses: each campaign and kind once") {
  SmallWorld world(2);
  world.log.RunRound(world.id, {});
  world.log.Issue(world.owner, 300);
  const uint64_t second = world.log.OpenCampaign(world.owner, testing::SmallCampaign());
  const Marks marks = MarksOf(world.log);
  const auto uses = marks.UsesOf(TestHash("model", 0));
  REQUIRE(uses.size() == 2);
  REQUIRE(uses[0].campaign == world.id);
  REQUIRE(uses[1].campaign == second);
  REQUIRE(uses[1].kind == base::BlobKind::kWeights);
  REQUIRE(marks.UsesOf(TestHash("gradient", 1)).at(0).kind == base::BlobKind::kGradient);
  REQUIRE(marks.UsesOf(world.Now().model_digest).size() == 1);
  REQUIRE(marks.UsesOf(TestHash("nothing", 0)).empty());
}

TEST_CASE("A campaign without milestones") { REQUIRE(Marks().Campaign(77).history.empty()); }

}  // namespace
}  // namespace crowdteach::server
