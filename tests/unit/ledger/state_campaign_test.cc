// The doors of the money: ISSUE, CAMPAIGN_OPEN, CAMPAIGN_CLOSE, RELEASE, REFUND.
#include <functional>

#include "ledger/reward.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::ledger {
namespace {

using absl::StatusCode;
using testing::kNat;
using testing::LedgerBuilder;
using testing::Refused;
using testing::RoundPlan;
using testing::SmallCampaign;

struct Fixture : LedgerBuilder {
  uint64_t owner = NewAccount(v1::OWNER);
  uint64_t campaign = [this] {
    Issue(owner, 1000);
    return OpenCampaign(owner, SmallCampaign());
  }();
  uint64_t a = NewTeacher(campaign);
  uint64_t b = NewTeacher(campaign);

  int64_t Avail(uint64_t account) const { return state.Balance({v1::AVAIL, 0, account}); }
  int64_t Held(uint64_t account) const { return state.Balance({v1::HELD, campaign, account}); }
  int64_t Stake(uint64_t account) const { return state.Balance({v1::STAKE, campaign, account}); }
  int64_t Escrow() const { return state.Balance({v1::ESCROW, campaign, 0}); }
  int64_t Treasury() const { return state.Balance({v1::TREASURY, 0, 0}); }
  v1::CampaignClose CloseOf(bool reveal) const {
    v1::CampaignClose close;
    close.set_campaign(campaign);
    if (reveal) close.set_validation_digest(SmallCampaign().validation_digest());
    return close;
  }
  v1::Release ReleaseOf() const {
    v1::Release release;
    release.set_campaign(campaign);
    release.set_parts(1);
    return release;
  }
  v1::Refund RefundOf() const {
    v1::Refund refund;
    refund.set_campaign(campaign);
    return refund;
  }
};

TEST_CASE("ISSUE: by the issuer, to an account, at most 2^62 in all") {
  LedgerBuilder log;
  v1::Issue issue;
  issue.set_to(0);
  issue.set_amount(uint64_t{1} << 62);
  CHECK(Refused(log.Try(0, issue), StatusCode::kPermissionDenied, "only the issuer, account 1"));
  log.Say(1, issue);
  CHECK(log.state.Balance({v1::AVAIL, 0, 0}) == kMaxIssued);
  CHECK(log.state.Balance({v1::ISSUED, 0, 0}) == -kMaxIssued);
  issue.set_amount(1);
  CHECK(Refused(log.Try(1, issue), StatusCode::kInvalidArgument, "must be 1 to 0"));
  issue.set_amount(~uint64_t{0});
  CHECK(Refused(log.Try(1, issue), StatusCode::kInvalidArgument, "amount 18446744073709551615"));
}

TEST_CASE_METHOD(Fixture, "CAMPAIGN_OPEN: by an owner, valid terms, the budget into escrow") {
  CHECK(Escrow() == 300);
  CHECK(Avail(owner) == 700);
  CHECK(Campaign(campaign).owner == owner);
  v1::CampaignOpen open = SmallCampaign();
  CHECK(Refused(Try(a, open), StatusCode::kPermissionDenied, "only owners open campaigns"));
  open.mutable_terms()->set_budget(701);
  CHECK(Refused(Try(owner, open), StatusCode::kResourceExhausted,
                "has 700 available: 1 are missing"));
  open.mutable_terms()->set_budget(199);
  CHECK(Refused(Try(owner, open), StatusCode::kInvalidArgument, "budget = 199"));
  open.mutable_terms()->set_budget(200);
  CHECK(Try(owner, open).ok());
}

TEST_CASE_METHOD(Fixture, "a campaign's whole way: rewards, the dispute window, the refund") {
  RunRound(campaign, {{a, {.phi_q32 = kNat / 2}}, {b, {.phi_q32 = -kNat / 4}}});
  CHECK(Held(a) == 50);
  CHECK(Stake(b) == 25);
  CHECK(Escrow() == 300 - 50 + 25);
  Say(owner, CloseOf(true));
  CHECK(Refused(Try(owner, CloseOf(true)), StatusCode::kFailedPrecondition, "closed already"));
  CHECK(Refused(Try(0, ReleaseOf()), StatusCode::kFailedPrecondition, "dispute window is open"));
  CHECK(Refused(Try(0, RefundOf()), StatusCode::kFailedPrecondition,
                "REFUND follows the last RELEASE"));
  now_ms += 1000;
  CHECK(Refused(Try(owner, ReleaseOf()), StatusCode::kPermissionDenied, "the operator's to say"));
  v1::Release release = ReleaseOf();
  release.set_parts(2);
  CHECK(Refused(Try(0, release), StatusCode::kFailedPrecondition, "next is part 0 of 1"));
  Say(0, ReleaseOf());
  // The grant goes back first: b's loss is the inviter's as far as it was the inviter's stake.
  CHECK(Avail(a) == 50);
  CHECK(Avail(b) == 0);
  CHECK(Avail(0) == 50 + 25);
  CHECK(Refused(Try(0, ReleaseOf()), StatusCode::kFailedPrecondition, "is released"));
  CHECK(Refused(Try(a, RefundOf()), StatusCode::kPermissionDenied, "the operator's to say"));
  Say(0, RefundOf());
  CHECK(Avail(owner) == 700 + 275);
  CHECK(Treasury() == 0);
  for (const auto& [key, balance] : state.balances()) CHECK(key.campaign == 0);
  CHECK(Refused(Try(0, RefundOf()), StatusCode::kFailedPrecondition, "is refunded"));
}

TEST_CASE_METHOD(Fixture, "the owner gets at most the budget back: charges go to the treasury") {
  RunRound(campaign, {{a, {.phi_q32 = -kNat / 5}}, {b, {.phi_q32 = -kNat / 5}}});
  CHECK(Escrow() == 340);
  CloseAndRefund(campaign);
  CHECK(Avail(owner) == 1000);
  CHECK(Treasury() == 40);
}

TEST_CASE_METHOD(Fixture, "CAMPAIGN_CLOSE: whose, when, and the reveal") {
  CHECK(Refused(Try(a, CloseOf(true)), StatusCode::kPermissionDenied,
                fmt::format("account {}'s to close", owner)));
  v1::CampaignClose close = CloseOf(true);
  close.set_validation_digest(std::string(32, 'x'));
  CHECK(Refused(Try(owner, close), StatusCode::kInvalidArgument, "the campaign committed to"));
  CHECK(Refused(Try(owner, CloseOf(false)), StatusCode::kInvalidArgument,
                "the campaign committed to"));
  CHECK(Refused(Try(0, CloseOf(true)), StatusCode::kInvalidArgument, "reveals nothing"));
  OpenRound(campaign);
  CHECK(Refused(Try(owner, CloseOf(true)), StatusCode::kFailedPrecondition, "round 1 of campaign"));
  now_ms += 1000;
  Say(0, AbortOf(campaign, v1::COMMIT_QUORUM));
  now_ms += 999;
  CHECK(Refused(Try(0, CloseOf(false)), StatusCode::kFailedPrecondition, "the owner may close"));
  now_ms += 1;
  Say(0, CloseOf(false));
  CHECK(Campaign(campaign).default_close);
}

TEST_CASE_METHOD(Fixture, "the default close shares the escrow by positive scores") {
  RunRound(campaign, {{a, {.phi_q32 = kNat / 3}}, {b, {.phi_q32 = kNat / 7}}});
  RunRound(campaign, {{a, {.phi_q32 = kNat / 3}}, {b, {.phi_q32 = -kNat / 5}}});
  const int64_t escrow = Escrow();
  const int64_t held_a = Held(a);
  REQUIRE(Stake(b) < 50);
  now_ms += 1000;
  Say(0, CloseOf(false));
  now_ms += 1000;
  Say(0, ReleaseOf());
  CHECK(Avail(a) == held_a + escrow);  // b's total is negative: all of it is a's
  CHECK(Escrow() == 0);
  Say(0, RefundOf());
  CHECK(Avail(owner) == 700);
}

TEST_CASE_METHOD(Fixture, "without the reveal the owner gets nothing back") {
  now_ms += 1000;
  Say(0, CloseOf(false));
  now_ms += 1000;
  Say(0, ReleaseOf());
  CHECK(Avail(0) == 100);
  Say(0, RefundOf());
  CHECK(Avail(owner) == 700);
  CHECK(Treasury() == 300);
}

TEST_CASE("RELEASE goes by parts of 256 teachers in account order") {
  LedgerBuilder log;
  const uint64_t owner = log.NewAccount(v1::OWNER);
  log.Issue(owner, 300);
  log.Issue(0, 257 * 50);
  const uint64_t campaign = log.OpenCampaign(owner, SmallCampaign());
  const uint64_t invite = log.Invite(0, v1::TEACHER, 257, 50);
  for (int i = 0; i < 257; ++i) log.Enrol(log.Join(invite), campaign, 1);
  CHECK(log.state.Balance({v1::AVAIL, 0, 0}) == 0);
  v1::CampaignClose close;
  close.set_campaign(campaign);
  close.set_validation_digest(SmallCampaign().validation_digest());
  log.Say(owner, close);
  log.now_ms += 1000;
  v1::Release release;
  release.set_campaign(campaign);
  release.set_parts(2);
  log.Say(0, release);
  CHECK(log.state.Balance({v1::AVAIL, 0, 0}) == 256 * 50);
  CHECK(Refused(log.Try(0, release), StatusCode::kFailedPrecondition, "next is part 1 of 2"));
  release.set_part(1);
  log.Say(0, release);
  CHECK(log.state.Balance({v1::AVAIL, 0, 0}) == 257 * 50);
}

TEST_CASE("sharing by largest remainder") {
  CHECK(ShareByScore(10, {1, 1, 1}) == std::vector<int64_t>{4, 3, 3});
  CHECK(ShareByScore(10, {0, 5, -5, 1}) == std::vector<int64_t>{0, 8, 0, 2});
  CHECK(ShareByScore(7, {-1, 0}) == std::vector<int64_t>{0, 0});
  CHECK(ShareByScore(0, {3}) == std::vector<int64_t>{0});
  const int64_t most = int64_t{1} << 62;
  CHECK(ShareByScore(most, {most, most}) == std::vector<int64_t>{most / 2, most / 2});
}

TEST_CASE_METHOD(Fixture, "an entry whose place or postings differ is refused whole") {
  v1::Issue issue;
  issue.set_to(owner);
  issue.set_amount(9);
  const LoggedEntry good = *Draft(Sign(1, Complete(1, issue)));
  const auto apply = [&](const std::function<void(v1::Entry*)>& change) {
    LoggedEntry bad = good;
    change(&bad.entry);
    const Status status = state.Apply(bad);
    CHECK(state.size() == good.entry.index());
    return status;
  };
  CHECK(Refused(apply([](v1::Entry* e) { e->set_index(3); }), StatusCode::kDataLoss,
                "it is entry 3"));
  CHECK(Refused(apply([](v1::Entry* e) { e->set_prev(std::string(32, 'x')); }),
                StatusCode::kDataLoss, "prev is"));
  CHECK(Refused(apply([](v1::Entry* e) { e->set_time_ms(e->time_ms() - 1); }),
                StatusCode::kDataLoss, "is before the last entry's"));
  CHECK(Refused(apply([](v1::Entry* e) { e->mutable_postings(0)->set_amount(10); }),
                StatusCode::kDataLoss, "the rules give AVAIL/0/"));
  CHECK(Refused(apply([](v1::Entry* e) { e->mutable_postings()->RemoveLast(); }),
                StatusCode::kDataLoss, "posting 1 is missing"));
  CHECK(Refused(apply([](v1::Entry* e) { *e->add_postings() = e->postings(1); }),
                StatusCode::kDataLoss, "the rules give only 2"));
  CHECK(state.Apply(good).ok());
}

}  // namespace
}  // namespace crowdteach::ledger
