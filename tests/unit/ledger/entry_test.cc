#include "ledger/entry.h"

#include <functional>

#include "tests/support/ledger_builder.h"
#include "tests/unit/ledger/log_fixture.h"

namespace crowdteach::ledger {
namespace {

// A whole round, so that most bodies occur.
std::vector<LoggedEntry> SomeEntries() {
  testing::LedgerBuilder log;
  const uint64_t owner = log.NewAccount(v1::OWNER);
  log.Issue(owner, 1000);
  const uint64_t campaign = log.OpenCampaign(owner, testing::SmallCampaign());
  testing::RoundPlan plan;
  for (int i = 0; i < 2; ++i) {
    plan[log.NewTeacher(campaign)] = {.phi_q32 = testing::kNat / 10};
  }
  log.RunRound(campaign, plan);
  return log.entries;
}

// The first entry with such a body.
LoggedEntry Find(const std::vector<LoggedEntry>& entries, v1::Intent::BodyCase body) {
  for (const LoggedEntry& entry : entries) {
    if (entry.intent.body_case() == body) return entry;
  }
  FAIL("no such entry");
  return {};
}

}  // namespace

TEST_CASE("entries of a whole round decode to what they were") {
  for (const LoggedEntry& entry : SomeEntries()) {
    INFO(BodyName(entry.intent));
    const LoggedEntry again = Value(DecodeEntry(entry.bytes));
    REQUIRE(again.leaf == base::LeafHash(entry.bytes));
    REQUIRE(Encode(again.entry) == entry.bytes);
    REQUIRE(Encode(again.intent) == entry.entry.intent().payload());
  }
}

TEST_CASE("fields of a wrong length or form are refused in every body") {
  const std::vector<LoggedEntry> entries = SomeEntries();
  using Change = std::function<void(v1::Intent&)>;
  const std::tuple<v1::Intent::BodyCase, const char*, Change> cases[] = {
      {v1::Intent::kGenesisBody, "genesis", [](auto& i) { i.set_genesis(std::string(32, 'x')); }},
      {v1::Intent::kGenesisBody, "sequence", [](auto& i) { i.set_sequence(2); }},
      {v1::Intent::kGenesisBody, "account", [](auto& i) { i.set_account(1); }},
      {v1::Intent::kGenesisBody, "not_after_ms", [](auto& i) { i.clear_not_after_ms(); }},
      {v1::Intent::kGenesisBody, "operator_key",
       [](auto& i) { i.mutable_genesis_body()->mutable_operator_key()->pop_back(); }},
      {v1::Intent::kGenesisBody, "asset",
       [](auto& i) { i.mutable_genesis_body()->set_asset("\x1b[31m"); }},
      {v1::Intent::kAccountOpen, "sequence", [](auto& i) { i.set_sequence(1); }},
      {v1::Intent::kAccountOpen, "genesis", [](auto& i) { i.clear_genesis(); }},
      {v1::Intent::kAccountOpen, "key",
       [](auto& i) { i.mutable_account_open()->mutable_key()->push_back('x'); }},
      {v1::Intent::kAccountOpen, "name",
       [](auto& i) { i.mutable_account_open()->set_name(std::string(41, 'n')); }},
      {v1::Intent::kAccountOpen, "name", [](auto& i) { i.mutable_account_open()->clear_name(); }},
      {v1::Intent::kAccountOpen, "token_signature",
       [](auto& i) { i.mutable_account_open()->set_token_signature("x"); }},
      {v1::Intent::kInvite, "token_key", [](auto& i) { i.mutable_invite()->clear_token_key(); }},
      {v1::Intent::kInvite, "role", [](auto& i) { i.mutable_invite()->set_role(v1::ISSUER); }},
      {v1::Intent::kInvite, "uses", [](auto& i) { i.mutable_invite()->clear_uses(); }},
      {v1::Intent::kEnrol, "campaign", [](auto& i) { i.mutable_enrol()->clear_campaign(); }},
      {v1::Intent::kIssue, "amount", [](auto& i) { i.mutable_issue()->clear_amount(); }},
      {v1::Intent::kIssue, "reference",
       [](auto& i) { i.mutable_issue()->set_reference(std::string(201, 'r')); }},
      {v1::Intent::kCampaignOpen, "terms",
       [](auto& i) { i.mutable_campaign_open()->clear_terms(); }},
      {v1::Intent::kCampaignOpen, "model_digest",
       [](auto& i) { i.mutable_campaign_open()->clear_model_digest(); }},
      {v1::Intent::kCampaignOpen, "norm_rule",
       [](auto& i) { i.mutable_campaign_open()->mutable_terms()->clear_norm_rule(); }},
      {v1::Intent::kRoundOpen, "seed",
       [](auto& i) { i.mutable_round_open()->mutable_seed()->pop_back(); }},
      {v1::Intent::kRoundOpen, "weights", [](auto& i) { i.mutable_round_open()->add_weights(1); }},
      {v1::Intent::kRoundOpen, "selected",
       [](auto& i) { i.mutable_round_open()->mutable_selected()->SwapElements(0, 1); }},
      {v1::Intent::kUpdateCommit, "commitment",
       [](auto& i) { i.mutable_update_commit()->mutable_commitment()->pop_back(); }},
      {v1::Intent::kRoundCommitClose, "round",
       [](auto& i) { i.mutable_round_commit_close()->clear_round(); }},
      {v1::Intent::kUpdateReveal, "salt", [](auto& i) { i.mutable_update_reveal()->clear_salt(); }},
      {v1::Intent::kAggregate, "lines",
       [](auto& i) { i.mutable_aggregate()->mutable_lines()->SwapElements(0, 1); }},
      {v1::Intent::kAggregate, "lines", [](auto& i) { i.mutable_aggregate()->clear_lines(); }},
      {v1::Intent::kAggregate, "norm_squared",
       [](auto& i) { i.mutable_aggregate()->mutable_lines(0)->set_norm_squared("\xff"); }},
      {v1::Intent::kScore, "lines.d",
       [](auto& i) { i.mutable_score()->mutable_lines(0)->set_d(std::string("\0\x01", 2)); }},
      {v1::Intent::kScore, "lines.d",
       [](auto& i) { i.mutable_score()->mutable_lines(0)->set_d(std::string(1, '\0')); }},
      {v1::Intent::kScore, "lines.e",
       [](auto& i) { i.mutable_score()->mutable_lines(0)->set_e(std::string(17, '\x01')); }},
      {v1::Intent::kScore, "scorer", [](auto& i) { i.mutable_score()->clear_scorer(); }},
      {v1::Intent::kSettle, "part", [](auto& i) { i.mutable_settle()->set_part(1); }},
  };
  for (const auto& [body, word, change] : cases) {
    v1::Intent intent = Find(entries, body).intent;
    REQUIRE(DecodeIntent(Encode(intent)).ok());
    change(intent);
    const Status refused = DecodeIntent(Encode(intent)).status();
    INFO(BodyName(intent) << " " << word << ": " << refused);
    REQUIRE(refused.code() == absl::StatusCode::kInvalidArgument);
    REQUIRE(Message(refused).find(word) != std::string::npos);
  }
}

TEST_CASE("envelopes and postings of a wrong form are refused") {
  const LoggedEntry issue = Find(SomeEntries(), v1::Intent::kIssue);
  const auto refused = [&](const std::function<void(v1::Entry&)>& change) {
    v1::Entry entry = issue.entry;
    change(entry);
    return DecodeEntry(Encode(entry)).status().code() == absl::StatusCode::kInvalidArgument;
  };
  REQUIRE_FALSE(refused([](v1::Entry&) {}));
  REQUIRE(refused([](v1::Entry& e) { e.mutable_prev()->pop_back(); }));
  REQUIRE(refused([](v1::Entry& e) { e.clear_time_ms(); }));
  REQUIRE(refused([](v1::Entry& e) { e.clear_intent(); }));
  REQUIRE(refused([](v1::Entry& e) { e.mutable_intent()->mutable_signature()->pop_back(); }));
  REQUIRE(refused([](v1::Entry& e) { e.mutable_intent()->mutable_payload()->push_back('\0'); }));
  REQUIRE(refused([](v1::Entry& e) { e.mutable_postings()->SwapElements(0, 1); }));
  REQUIRE(refused([](v1::Entry& e) { *e.add_postings() = e.postings(1); }));
  REQUIRE(refused([](v1::Entry& e) { e.mutable_postings(0)->set_amount(1); }));
  REQUIRE(refused([](v1::Entry& e) { e.mutable_postings(0)->clear_kind(); }));
  REQUIRE(refused([](v1::Entry& e) { e.mutable_postings(0)->set_campaign(3); }));
  REQUIRE(refused([](v1::Entry& e) { e.mutable_postings(1)->set_account(3); }));
  REQUIRE(refused(
      [](v1::Entry& e) { e.mutable_intent()->set_payload(std::string(kMaxEntryBytes, 'x')); }));
}

TEST_CASE("a sealed commitment names its author") {
  const base::Hash genesis = base::LeafHash("genesis");
  const base::Hash digest = base::LeafHash("update");
  const std::string salt(32, 's');
  const base::Hash mine = SealedCommitment(genesis, 5, 1, 7, digest, salt);
  std::string text = "crowdteach/v1/commit\n" + base::Bytes(genesis);
  text += std::string("\0\0\0\0\0\0\0\x05\0\0\0\x01\0\0\0\0\0\0\0\x07", 20) + base::Bytes(digest) +
          salt;
  REQUIRE(mine == base::Sha256Of(text));
  REQUIRE(mine != SealedCommitment(genesis, 5, 1, 8, digest, salt));
}

}  // namespace crowdteach::ledger
