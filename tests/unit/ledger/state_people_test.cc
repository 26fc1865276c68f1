// Who may be who: GENESIS, ACCOUNT_OPEN, INVITE, ENROL, and the envelope of every intent.
#include "ledger/canonical.h"
#include "ledger/reward.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::ledger {
namespace {

using testing::IntentOf;
using testing::LedgerBuilder;
using testing::Refused;
using testing::SmallCampaign;
using testing::TestKey;

struct Fixture : LedgerBuilder {
  uint64_t owner = NewAccount(v1::OWNER);
  uint64_t campaign = [this] {
    Issue(owner, 1000);
    return OpenCampaign(owner, SmallCampaign());
  }();
  int64_t Avail(uint64_t account) const { return state.Balance({v1::AVAIL, 0, account}); }
};

v1::Genesis GenesisOf(const LedgerBuilder& log) { return log.state.genesis(); }

TEST_CASE("entry 0 is GENESIS, signed by its operator key, and entry 1 the issuer's account") {
  const LedgerBuilder log;
  CHECK(log.state.size() == 2);
  CHECK(log.state.genesis_hash() == log.entries[0].leaf);
  CHECK(log.state.accounts().at(0).next_sequence == 2);
  CHECK(log.state.accounts().at(1).role == v1::ISSUER);
  CHECK(log.state.AccountOfKey(log.operator_key.public_key()) == 0);
  CHECK(log.state.AccountOfKey(log.issuer_key.public_key()) == 1);

  v1::Intent intent = IntentOf(GenesisOf(log));
  intent.set_sequence(1);
  intent.set_not_after_ms(log.now_ms);
  const State empty;
  CHECK(empty.Postings(SignIntent(intent, log.operator_key), log.now_ms).ok());
  CHECK(Refused(empty.Postings(SignIntent(intent, log.issuer_key), log.now_ms),
                absl::StatusCode::kUnauthenticated, "not by the key"));
  intent.mutable_genesis_body()->set_rules_version(1);
  CHECK(Refused(empty.Postings(SignIntent(intent, log.operator_key), log.now_ms),
                absl::StatusCode::kFailedPrecondition, "rules version 1"));
  intent.mutable_genesis_body()->set_rules_version(0);
  intent.mutable_genesis_body()->set_issuer_key(log.operator_key.public_key());
  CHECK(Refused(empty.Postings(SignIntent(intent, log.operator_key), log.now_ms),
                absl::StatusCode::kInvalidArgument, "must be two keys"));
  *intent.mutable_genesis_body() = GenesisOf(log);
  intent.mutable_genesis_body()->set_origin("elsewhere");
  CHECK(Refused(empty.Postings(SignIntent(intent, log.operator_key), log.now_ms),
                absl::StatusCode::kInvalidArgument, "origin \"elsewhere\""));
}

TEST_CASE("the first entries cannot be anything else, and GENESIS stands once") {
  LedgerBuilder log;
  CHECK(Refused(log.Try(0, GenesisOf(log)), absl::StatusCode::kFailedPrecondition,
                "cannot be entry 2"));
  State young;
  REQUIRE(young.Apply(log.entries[0]).ok());
  v1::Issue issue;
  issue.set_to(0);
  issue.set_amount(1);
  v1::Intent intent = log.Complete(0, issue);
  intent.set_sequence(2);
  CHECK(Refused(young.Postings(log.Sign(0, intent), log.now_ms),
                absl::StatusCode::kFailedPrecondition, "the issuer's ACCOUNT_OPEN"));
  v1::AccountOpen open;
  open.set_key(TestKey(9).public_key());
  open.set_name("somebody");
  CHECK(Refused(young.Postings(SignIntent(log.Complete(0, open), TestKey(9)), log.now_ms),
                absl::StatusCode::kPermissionDenied, "entry 1 opens the issuer's account"));
}

TEST_CASE("the envelope: log, account, signature, sequence, not-after, time") {
  LedgerBuilder log;
  v1::Issue issue;
  issue.set_to(0);
  issue.set_amount(5);
  const v1::Intent good = log.Complete(1, issue);
  const auto postings = [&](const v1::Intent& intent) {
    return log.state.Postings(SignIntent(intent, log.issuer_key), log.now_ms);
  };
  REQUIRE(postings(good).ok());

  v1::Intent intent = good;
  intent.set_genesis(std::string(32, 'x'));
  CHECK(Refused(postings(intent), absl::StatusCode::kFailedPrecondition, "for the log of genesis"));
  intent = good;
  intent.set_account(77);
  CHECK(Refused(postings(intent), absl::StatusCode::kUnauthenticated, "no account 77"));
  CHECK(Refused(log.state.Postings(SignIntent(good, log.operator_key), log.now_ms),
                absl::StatusCode::kUnauthenticated, "not by the key"));
  intent = good;
  intent.set_sequence(2);
  CHECK(Refused(postings(intent), absl::StatusCode::kFailedPrecondition, "its next is 1"));
  intent = good;
  intent.set_not_after_ms(log.now_ms - 1);
  CHECK(Refused(postings(intent), absl::StatusCode::kFailedPrecondition, "sign it anew"));
  intent.set_not_after_ms(log.now_ms);
  CHECK(postings(intent).ok());
  intent.set_not_after_ms(log.now_ms + kMaxNotAfterMs);
  CHECK(postings(intent).ok());
  intent.set_not_after_ms(log.now_ms + kMaxNotAfterMs + 1);
  CHECK(Refused(postings(intent), absl::StatusCode::kFailedPrecondition, "more than 24 h"));
  CHECK(Refused(log.state.Postings(SignIntent(good, log.issuer_key), log.now_ms - 1),
                absl::StatusCode::kFailedPrecondition, "the last entry's"));

  const v1::SignedIntent once = SignIntent(good, log.issuer_key);
  REQUIRE(log.TrySigned(once).ok());
  CHECK(Refused(log.TrySigned(once), absl::StatusCode::kAlreadyExists, "its next is 2"));
}

TEST_CASE("a refused intent consumes no sequence number") {
  LedgerBuilder log;
  v1::Issue issue;
  issue.set_to(99);
  issue.set_amount(5);
  CHECK(Refused(log.Try(1, issue), absl::StatusCode::kNotFound, "no account 99"));
  CHECK(log.state.accounts().at(1).next_sequence == 1);
  CHECK(log.state.size() == 2);
}

TEST_CASE("ACCOUNT_OPEN consumes one use of its invite") {
  LedgerBuilder log;
  const uint64_t invite = log.Invite(0, v1::TEACHER, 2, 0);
  const uint64_t first = *log.TryJoin(invite, 50);
  CHECK(log.state.accounts().at(first).role == v1::TEACHER);
  CHECK(log.state.accounts().at(first).invite == invite);
  CHECK(Refused(log.TryJoin(invite, 50), absl::StatusCode::kAlreadyExists,
                fmt::format("is account {} already", first)));
  CHECK(log.state.invites().at(invite).used == 1);
  CHECK(log.TryJoin(invite, 51).ok());
  CHECK(Refused(log.TryJoin(invite, 52), absl::StatusCode::kFailedPrecondition,
                "all 2 uses of invite"));
}

TEST_CASE("ACCOUNT_OPEN needs the token's signature over this key, before the expiry") {
  LedgerBuilder log;
  const uint64_t invite = log.Invite(0, v1::TEACHER, 2, 0);
  v1::TokenClaim claim;
  claim.set_genesis(base::Bytes(log.state.genesis_hash()));
  claim.set_key(TestKey(61).public_key());
  v1::AccountOpen open;
  open.set_key(TestKey(60).public_key());
  open.set_invite(invite);
  open.set_token_signature(TestKey(100).SignDsse(kTokenType, Encode(claim)));
  open.set_name("thief");
  const auto postings = [&] {
    return log.state.Postings(SignIntent(log.Complete(0, open), TestKey(60)), log.now_ms);
  };
  CHECK(Refused(postings(), absl::StatusCode::kUnauthenticated, "token signature does not fit"));
  claim.set_key(TestKey(60).public_key());
  open.set_token_signature(TestKey(100).SignDsse(kTokenType, Encode(claim)));
  CHECK(postings().ok());
  open.set_invite(0);
  open.clear_token_signature();
  CHECK(Refused(postings(), absl::StatusCode::kNotFound, "no invite 0"));
  log.now_ms = log.state.invites().at(invite).terms.expires_ms();
  CHECK(Refused(log.TryJoin(invite, 60), absl::StatusCode::kFailedPrecondition, "expired"));
  log.now_ms -= 1;
  CHECK(log.TryJoin(invite, 60).ok());
}

TEST_CASE("the operator invites anyone, an owner teachers and auditors, nobody else") {
  LedgerBuilder log;
  const uint64_t owner = log.NewAccount(v1::OWNER);
  const uint64_t teacher = log.NewAccount(v1::TEACHER);
  v1::Invite invite;
  invite.set_token_key(TestKey(70).public_key());
  invite.set_role(v1::OWNER);
  invite.set_uses(1);
  invite.set_expires_ms(log.now_ms + 1);
  CHECK(Refused(log.Try(owner, invite), absl::StatusCode::kPermissionDenied,
                "invites teachers and auditors"));
  invite.set_role(v1::AUDITOR);
  CHECK(Refused(log.Try(teacher, invite), absl::StatusCode::kPermissionDenied,
                "only the operator and owners invite"));
  CHECK(log.Try(owner, invite).ok());
  CHECK(Refused(log.Try(0, invite), absl::StatusCode::kAlreadyExists, "make a new token"));
  invite.set_token_key(TestKey(71).public_key());
  invite.set_expires_ms(log.now_ms);
  CHECK(Refused(log.Try(0, invite), absl::StatusCode::kInvalidArgument, "expires at"));
  invite.set_expires_ms(log.now_ms + 1);
  invite.set_stake_grant(uint64_t{1} << 63);
  CHECK(Refused(log.Try(0, invite), absl::StatusCode::kInvalidArgument, "stake grant"));
}

TEST_CASE_METHOD(Fixture, "ENROL locks the stake, the invite's grant first") {
  const uint64_t invite = Invite(owner, v1::TEACHER, 2, 30);
  const uint64_t teacher = Join(invite);
  const int64_t owner_before = Avail(owner);
  v1::Enrol enrol;
  enrol.set_campaign(campaign);
  enrol.set_examples(10);
  CHECK(Refused(Try(teacher, enrol), absl::StatusCode::kResourceExhausted,
                "takes 20 credits and account 7 has 0 available: 20 are missing"));
  Issue(teacher, 25);
  Say(teacher, enrol);
  CHECK(Avail(owner) == owner_before - 30);
  CHECK(Avail(teacher) == 5);
  CHECK(state.Balance({v1::STAKE, campaign, teacher}) == 50);
  const Enrolment& enrolment = Campaign(campaign).enrolments.at(teacher);
  CHECK(enrolment.grant == 30);
  CHECK(enrolment.grantor == owner);
  CHECK(state.accounts().at(teacher).grant_used);
  CHECK(Refused(Try(teacher, enrol), absl::StatusCode::kAlreadyExists, "is enrolled in campaign"));

  // The grant is lent once: a second campaign takes the teacher's own credits.
  const uint64_t second = OpenCampaign(owner, SmallCampaign());
  enrol.set_campaign(second);
  CHECK(Refused(Try(teacher, enrol), absl::StatusCode::kResourceExhausted, "45 are missing"));
  Issue(teacher, 45);
  Say(teacher, enrol);
  CHECK(Avail(teacher) == 0);
  CHECK(Campaign(second).enrolments.at(teacher).grant == 0);
}

TEST_CASE_METHOD(Fixture, "ENROL is refused when the inviter is short") {
  const uint64_t teacher = Join(Invite(0, v1::TEACHER, 1, 80));
  Issue(teacher, 1000);
  Issue(0, 49);
  v1::Enrol enrol;
  enrol.set_campaign(campaign);
  enrol.set_examples(10);
  CHECK(Refused(Try(teacher, enrol), absl::StatusCode::kResourceExhausted,
                "stake grant takes 50 credits and account 0 has 49 available: 1 are missing"));
  Issue(0, 1);
  Say(teacher, enrol);
  CHECK(Avail(0) == 0);
  CHECK(Avail(teacher) == 1000);
}

TEST_CASE_METHOD(Fixture, "ENROL: teachers only, a running campaign, examples within the terms") {
  v1::Enrol enrol;
  enrol.set_campaign(campaign);
  enrol.set_examples(10);
  CHECK(Refused(Try(owner, enrol), absl::StatusCode::kPermissionDenied, "only teachers enrol"));
  CHECK(Refused(Try(0, enrol), absl::StatusCode::kPermissionDenied, "only teachers enrol"));
  const uint64_t teacher = NewAccount(v1::TEACHER);
  Issue(teacher, 100);
  enrol.set_examples(1001);
  CHECK(Refused(Try(teacher, enrol), absl::StatusCode::kInvalidArgument, "must be 1 to 1000"));
  enrol.set_examples(10);
  enrol.set_campaign(3);
  CHECK(Refused(Try(teacher, enrol), absl::StatusCode::kNotFound, "no campaign 3"));
  enrol.set_campaign(campaign);
  v1::CampaignClose close;
  close.set_campaign(campaign);
  close.set_validation_digest(SmallCampaign().validation_digest());
  Say(owner, close);
  CHECK(Refused(Try(teacher, enrol), absl::StatusCode::kFailedPrecondition, "is closed"));
}

}  // namespace
}  // namespace crowdteach::ledger
