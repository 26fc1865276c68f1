// A round up to its first AGGREGATE: selection, sealed commitments, reveals, rejections.
#include <algorithm>

#include "ledger/reward.h"
#include "ledger/round.h"
#include "ledger/selection.h"
#include "proto/base/bytes.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::ledger {
namespace {

using absl::StatusCode;
using testing::LedgerBuilder;
using testing::Refused;
using testing::SmallCampaign;
using testing::TestHash;

struct Fixture : LedgerBuilder {
  uint64_t owner = NewAccount(v1::OWNER);
  uint64_t campaign = 0;
  uint64_t a = 0, b = 0, c = 0;

  Fixture() { Start(SmallCampaign()); }
  void Start(const v1::CampaignOpen& open) {
    Issue(owner, 1000);
    campaign = OpenCampaign(owner, open);
    a = NewTeacher(campaign);
    b = NewTeacher(campaign);
    c = NewTeacher(campaign);
  }
  Phase Now() const { return Campaign(campaign).round.phase; }
  Status Commit(uint64_t account) { return Try(account, CommitOf(campaign, account, {})).status(); }
  Status Reveal(uint64_t account) { return Try(account, RevealOf(campaign, account, {})).status(); }
  Status Reject(uint64_t account, v1::RejectReason reason) {
    return Try(0, RejectOf(campaign, account, reason)).status();
  }
};

TEST_CASE_METHOD(Fixture, "ROUND_OPEN is recomputed: candidates, seed, draw, weights, base") {
  const v1::RoundOpen good = *Select(state, campaign, {a, b, c});
  const auto refused = [&](StatusCode code, std::string_view text, const auto& change) {
    v1::RoundOpen bad = good;
    change(&bad);
    return Refused(Try(0, bad), code, text);
  };
  CHECK(Refused(Try(owner, good), StatusCode::kPermissionDenied, "the operator's to say"));
  CHECK(refused(StatusCode::kFailedPrecondition, "the next is 1",
                [](v1::RoundOpen* o) { o->set_round(2); }));
  CHECK(refused(StatusCode::kFailedPrecondition, "the campaign's model is",
                [](v1::RoundOpen* o) { o->set_base_digest(std::string(32, 'x')); }));
  CHECK(refused(StatusCode::kInvalidArgument, "the recorded salts give",
                [](v1::RoundOpen* o) { o->set_seed(std::string(32, 'x')); }));
  CHECK(refused(StatusCode::kInvalidArgument, "that the seed draws", [](v1::RoundOpen* o) {
    o->mutable_selected()->RemoveLast();
    o->mutable_weights()->RemoveLast();
  }));
  CHECK(refused(StatusCode::kInvalidArgument, "the weights are not",
                [](v1::RoundOpen* o) { o->set_weights(0, 2); }));
  CHECK(refused(StatusCode::kFailedPrecondition, "is not enrolled",
                [&](v1::RoundOpen* o) { o->set_candidates(2, c + 1); }));
  CHECK(refused(StatusCode::kFailedPrecondition, "1 candidates and its quorum is 2",
                [](v1::RoundOpen* o) { o->mutable_candidates()->Truncate(1); }));
  Say(0, good);
  CHECK(Now() == Phase::kCommit);
  CHECK(Refused(Try(0, good), StatusCode::kFailedPrecondition, "is open still"));
}

TEST_CASE("the selection seed is the hash the design names, and the draw follows it") {
  LedgerBuilder log;
  const uint64_t owner = log.NewAccount(v1::OWNER);
  log.Issue(owner, 1000);
  v1::CampaignOpen open = SmallCampaign();
  open.mutable_terms()->set_teachers(2);
  open.mutable_terms()->set_weighting(v1::EXAMPLES);
  const uint64_t campaign = log.OpenCampaign(owner, open);
  std::vector<uint64_t> teachers;
  for (int i = 0; i < 5; ++i) teachers.push_back(log.NewTeacher(campaign));
  log.RunRound(campaign, {});
  const std::vector<std::string> salts = log.Campaign(campaign).last_salts;
  REQUIRE(salts.size() == 2);

  std::string text = "crowdteach/v1/select\n";
  base::AppendU64(text, campaign);
  base::AppendU32(text, 2);
  text += salts[0] + salts[1];
  const base::Hash seed = base::Sha256Of(text);
  std::vector<std::pair<base::Hash, uint64_t>> lots;
  for (const uint64_t teacher : teachers) {
    std::string ticket = base::Bytes(seed);
    base::AppendU64(ticket, teacher);
    lots.emplace_back(base::Sha256Of(ticket), teacher);
  }
  std::sort(lots.begin(), lots.end());
  std::vector<uint64_t> drawn = {lots[0].second, lots[1].second};
  std::sort(drawn.begin(), drawn.end());

  std::vector<uint64_t> connected = teachers;
  std::reverse(connected.begin(), connected.end());
  connected.push_back(owner);        // not enrolled
  connected.push_back(teachers[0]);  // twice
  const std::vector<uint64_t> candidates = CandidatesOf(log.state, campaign, connected);
  CHECK(candidates == teachers);
  const v1::RoundOpen second = *Select(log.state, campaign, candidates);
  CHECK(second.seed() == base::Bytes(seed));
  CHECK(std::vector<uint64_t>(second.selected().begin(), second.selected().end()) == drawn);
  CHECK(second.weights(0) == 100);
  CHECK(second.base_digest() != open.model_digest());
}

TEST_CASE_METHOD(Fixture, "commitments: by the selected, once, one's own") {
  CHECK(Refused(Try(a, v1::UpdateCommit(CommitOf(campaign, a, {}))), StatusCode::kInvalidArgument,
                "round is absent"));
  OpenRound(campaign);
  CHECK(Refused(Commit(owner), StatusCode::kPermissionDenied, "was not selected for round 1"));
  CHECK(Commit(a).ok());
  CHECK(Refused(Commit(a), StatusCode::kAlreadyExists, "has committed in round 1 already"));
  CHECK(Refused(Try(b, CommitOf(campaign, a, {})), StatusCode::kAlreadyExists, "names its author"));
  v1::UpdateCommit stale = CommitOf(campaign, b, {});
  stale.set_round(2);
  CHECK(Refused(Try(b, stale), StatusCode::kFailedPrecondition, "round 1 is open"));
  CHECK(Refused(Reveal(a), StatusCode::kFailedPrecondition, "it must be upload"));
}

TEST_CASE_METHOD(Fixture,
                 "the commit phase closes when all have committed, or late with a quorum") {
  OpenRound(campaign);
  REQUIRE(Commit(a).ok());
  CHECK(Refused(Try(0, CommitCloseOf(campaign)), StatusCode::kFailedPrecondition,
                "1 of 3 have committed"));
  now_ms += 1000;
  CHECK(Refused(Try(0, CommitCloseOf(campaign)), StatusCode::kFailedPrecondition,
                "1 have committed and the quorum is 2"));
  REQUIRE(Commit(b).ok());
  CHECK(Refused(Try(0, AbortOf(campaign, v1::COMMIT_QUORUM)), StatusCode::kFailedPrecondition,
                "close the commit phase"));
  v1::RoundCommitClose wrong = CommitCloseOf(campaign);
  wrong.set_count(3);
  CHECK(Refused(Try(0, wrong), StatusCode::kInvalidArgument, "2 teachers have committed"));
  Say(0, CommitCloseOf(campaign));
  CHECK(Now() == Phase::kUpload);
  CHECK(Refused(Commit(c), StatusCode::kFailedPrecondition, "the phase is upload"));
  CHECK(Refused(Reveal(c), StatusCode::kFailedPrecondition, "has not committed"));
  CHECK(Awaited(Campaign(campaign)) == std::vector<uint64_t>{a, b});
}

TEST_CASE_METHOD(Fixture, "all commitments close the phase at once") {
  ThroughCommits(campaign, {});
  CHECK(Now() == Phase::kUpload);
  CHECK(Campaign(campaign).round.commit_closed_ms == Campaign(campaign).round.opened_ms);
}

TEST_CASE_METHOD(Fixture, "a reveal must open its commitment") {
  ThroughCommits(campaign, {});
  CHECK(Refused(Try(a, RevealOf(campaign, b, {})), StatusCode::kInvalidArgument,
                "do not open account"));
  v1::UpdateReveal reveal = RevealOf(campaign, a, {});
  reveal.set_update_digest(base::Bytes(TestHash("update", 99)));
  CHECK(Refused(Try(a, reveal), StatusCode::kInvalidArgument, "do not open account"));
  CHECK(Reveal(a).ok());
  CHECK(Refused(Reveal(a), StatusCode::kAlreadyExists, "has revealed"));
}

TEST_CASE_METHOD(Fixture, "rejections in the upload phase") {
  ThroughCommits(campaign, {});
  REQUIRE(Reveal(a).ok());
  CHECK(Refused(Try(a, RejectOf(campaign, b, v1::SHAPE)), StatusCode::kPermissionDenied,
                "the operator's to say"));
  CHECK(Refused(Reject(b, v1::SHAPE), StatusCode::kFailedPrecondition, "no update to reject"));
  CHECK(Refused(Reject(a, v1::NORM), StatusCode::kFailedPrecondition, "norm-rule clip"));
  CHECK(Refused(Reject(a, v1::NO_REVEAL), StatusCode::kFailedPrecondition, "is awaited"));
  CHECK(Refused(Reject(b, v1::NO_REVEAL), StatusCode::kFailedPrecondition, "may reveal until"));
  CHECK(Refused(Reject(a, v1::DUPLICATE), StatusCode::kFailedPrecondition,
                "when every reveal is in"));
  CHECK(Refused(Reject(a, v1::UNCOVERED), StatusCode::kFailedPrecondition, "must be scored"));
  CHECK(Refused(Reject(a, v1::DIVERGES), StatusCode::kFailedPrecondition, "must be aggregated"));
  CHECK(Reject(a, v1::SHAPE).ok());
  CHECK(Refused(Reject(a, v1::SHAPE), StatusCode::kAlreadyExists, "SHAPE"));
  CHECK(Refused(Reveal(a), StatusCode::kAlreadyExists, "has revealed"));
  REQUIRE(Reveal(b).ok());
  CHECK(Refused(Try(0, AggregateOf(campaign, {})), StatusCode::kFailedPrecondition,
                "neither revealed nor been rejected"));
  now_ms += 1000;
  CHECK(Reject(c, v1::NO_REVEAL).ok());
  CHECK(Refused(Reveal(c), StatusCode::kFailedPrecondition, "NO_REVEAL"));
  CHECK(Refused(Reject(b, v1::DUPLICATE), StatusCode::kFailedPrecondition, "is no duplicate"));
  CHECK(Refused(Try(0, AggregateOf(campaign, {})), StatusCode::kFailedPrecondition,
                "1 updates are left and the quorum is 2"));
  Say(0, AbortOf(campaign, v1::REVEAL_QUORUM));
  CHECK(Campaign(campaign).last_salts.size() == 2);  // a's stays, though a was rejected
}

TEST_CASE_METHOD(Fixture, "a duplicate belongs to the earliest commitment, whoever reveals first") {
  OpenRound(campaign);
  const testing::TeacherPlan same{.update = 7};
  Say(b, CommitOf(campaign, b, same));
  Say(a, CommitOf(campaign, a, same));
  Say(c, CommitOf(campaign, c, {}));
  Say(0, CommitCloseOf(campaign));
  Say(c, RevealOf(campaign, c, {}));
  Say(a, RevealOf(campaign, a, same));
  Say(b, RevealOf(campaign, b, same));
  CHECK(Duplicates(Campaign(campaign)) == std::vector<uint64_t>{a});
  CHECK(Refused(Reject(b, v1::DUPLICATE), StatusCode::kFailedPrecondition, "is no duplicate"));
  CHECK(Refused(Try(0, AggregateOf(campaign, {})), StatusCode::kFailedPrecondition,
                "is a duplicate: reject it first"));
  CHECK(Reject(a, v1::DUPLICATE).ok());
  CHECK(Try(0, AggregateOf(campaign, {})).ok());
}

TEST_CASE_METHOD(Fixture, "many may send the all-zero update") {
  const base::Hash zero = base::BlobDigest(base::BlobKind::kUpdate, std::string(40, '\0'));
  CHECK(Campaign(campaign).zero_update == zero);
  OpenRound(campaign);
  const auto sealed = [&](uint64_t account) {
    v1::UpdateCommit commit = CommitOf(campaign, account, {});
    commit.set_commitment(base::Bytes(
        SealedCommitment(state.genesis_hash(), campaign, 1, account, zero, std::string(32, 's'))));
    return commit;
  };
  for (const uint64_t account : {a, b, c}) Say(account, sealed(account));
  Say(0, CommitCloseOf(campaign));
  for (const uint64_t account : {a, b, c}) {
    v1::UpdateReveal reveal = RevealOf(campaign, account, {});
    reveal.set_update_digest(base::Bytes(zero));
    reveal.set_salt(std::string(32, 's'));
    Say(account, reveal);
  }
  CHECK(Duplicates(Campaign(campaign)).empty());
  CHECK(Refused(Reject(b, v1::DUPLICATE), StatusCode::kFailedPrecondition, "is no duplicate"));
}

TEST_CASE("the digest of an all-zero update of any size") {
  for (const uint64_t parameters : {1, 262'143, 262'144, 262'145, 786'433}) {
    INFO(parameters);
    CHECK(ZeroUpdateDigest(parameters) ==
          base::BlobDigest(base::BlobKind::kUpdate, std::string(4 * parameters, '\0')));
  }
}

TEST_CASE("open commitments: the round starts in the upload phase, the earliest reveal owns") {
  Fixture log;
  v1::CampaignOpen open = SmallCampaign();
  open.mutable_terms()->set_open_commitments(true);
  log.Start(open);
  log.OpenRound(log.campaign);
  CHECK(log.Now() == Phase::kUpload);
  CHECK(Refused(log.Commit(log.a), StatusCode::kFailedPrecondition, "it must be commit"));
  const testing::TeacherPlan same{.update = 7};
  log.Say(log.c, log.RevealOf(log.campaign, log.c, same));
  log.Say(log.a, log.RevealOf(log.campaign, log.a, same));
  CHECK(Awaited(log.Campaign(log.campaign)) == std::vector<uint64_t>{log.b});
  log.now_ms += 1000;
  CHECK(log.Reject(log.b, v1::NO_REVEAL).ok());
  CHECK(Duplicates(log.Campaign(log.campaign)) == std::vector<uint64_t>{log.a});
}

TEST_CASE_METHOD(Fixture, "aborts in a row end the campaign, a settled round starts anew") {
  const auto abort = [&] {
    OpenRound(campaign);
    CHECK(Refused(Try(0, AbortOf(campaign, v1::COMMIT_QUORUM)), StatusCode::kFailedPrecondition,
                  "teachers may commit until"));
    now_ms += 1000;
    Say(0, AbortOf(campaign, v1::COMMIT_QUORUM));
  };
  abort();
  RunRound(campaign, {});
  abort();
  CHECK(Campaign(campaign).phase == CampaignPhase::kRunning);
  CHECK(Campaign(campaign).round.number == 3);
  abort();
  CHECK(Campaign(campaign).phase == CampaignPhase::kEnded);
  CHECK(Refused(Try(0, *Select(state, campaign, {a, b})), StatusCode::kFailedPrecondition,
                "it has no more rounds"));
  CHECK(Refused(Try(0, AbortOf(campaign, v1::COMMIT_QUORUM)), StatusCode::kFailedPrecondition,
                "no round is open"));
}

}  // namespace
}  // namespace crowdteach::ledger
