#include "tests/support/ledger_builder.h"

#include <algorithm>
#include <stdexcept>

#include "ledger/canonical.h"
#include "ledger/checkpoint.h"
#include "ledger/note.h"
#include "ledger/reward.h"
#include "ledger/round.h"
#include "ledger/selection.h"

namespace crowdteach::testing {

using namespace ledger;  // NOLINT: the builder is all about it

namespace {

template <typename T>
T Must(StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(Message(value.status()));
  return *std::move(value);
}

template <typename Body>
Body InRound(const LedgerBuilder& log, uint64_t campaign) {
  Body body;
  body.set_campaign(campaign);
  body.set_round(log.Campaign(campaign).round.number);
  return body;
}

const TeacherPlan& PlanOf(const RoundPlan& plans, uint64_t account) {
  static const TeacherPlan kDefault;
  const auto plan = plans.find(account);
  return plan == plans.end() ? kDefault : plan->second;
}

std::string SaltOf(uint64_t campaign, uint32_t round, uint64_t account) {
  return base::Bytes(TestHash("salt", campaign * 1'000'003 + round * 1009 + account));
}

}  // namespace

SigningKey TestKey(uint64_t number) {
  return Must(SigningKey::FromSeed(base::View(TestHash("key", number))));
}

base::Hash TestHash(std::string_view name, uint64_t number) {
  return base::Sha256Of(fmt::format("test {} {}", name, number));
}

v1::Intent IntentOf(const google::protobuf::Message& body) {
  v1::Intent intent;
  if (body.GetDescriptor() == v1::Intent::descriptor()) {
    intent.CopyFrom(body);
    return intent;
  }
  const google::protobuf::OneofDescriptor* bodies = v1::Intent::descriptor()->oneof_decl(0);
  for (int i = 0; i < bodies->field_count(); ++i) {
    if (bodies->field(i)->message_type() != body.GetDescriptor()) continue;
    intent.GetReflection()->MutableMessage(&intent, bodies->field(i))->CopyFrom(body);
    return intent;
  }
  throw std::runtime_error("no intent has a body of type " + body.GetTypeName());
}

LedgerBuilder::LedgerBuilder()
    : log_key(TestKey(0)), operator_key(TestKey(1)), issuer_key(TestKey(2)) {
  keys_.emplace(operator_key.public_key(), operator_key);
  keys_.emplace(issuer_key.public_key(), issuer_key);
  v1::Genesis genesis;
  genesis.set_origin(DefaultOrigin(log_key.public_key()));
  genesis.set_log_vkey(FormatVkey(MakeVerifierKey(genesis.origin(), log_key.public_key())));
  genesis.set_operator_key(operator_key.public_key());
  genesis.set_issuer_key(issuer_key.public_key());
  genesis.set_asset("credits");
  Say(0, genesis);
  v1::AccountOpen issuer;
  issuer.set_key(issuer_key.public_key());
  issuer.set_name("issuer");
  Say(0, issuer);
}

v1::Intent LedgerBuilder::Complete(uint64_t account, const google::protobuf::Message& body) const {
  v1::Intent intent = IntentOf(body);
  if (!intent.has_genesis_body()) intent.set_genesis(base::Bytes(state.genesis_hash()));
  if (!intent.has_account_open()) {
    const Account* found = state.FindAccount(account);
    intent.set_account(account);
    intent.set_sequence(found == nullptr || intent.has_genesis_body() ? 1 : found->next_sequence);
  }
  intent.set_not_after_ms(now_ms + 60'000);
  return intent;
}

v1::SignedIntent LedgerBuilder::Sign(uint64_t account, const v1::Intent& intent) const {
  const Account* found = state.FindAccount(account);
  const std::string& key = intent.has_account_open() ? intent.account_open().key()
                           : found == nullptr        ? operator_key.public_key()
                                                     : found->key;
  return SignIntent(intent, keys_.at(key));
}

StatusOr<LoggedEntry> LedgerBuilder::Draft(const v1::SignedIntent& intent) const {
  CT_ASSIGN_OR_RETURN(const std::vector<v1::Posting> postings, state.Postings(intent, now_ms));
  v1::Entry entry;
  entry.set_index(state.size());
  entry.set_prev(base::Bytes(state.last_leaf()));
  entry.set_time_ms(now_ms);
  *entry.mutable_intent() = intent;
  entry.mutable_postings()->Add(postings.begin(), postings.end());
  return DecodeEntry(Encode(entry));
}

StatusOr<uint64_t> LedgerBuilder::TrySigned(const v1::SignedIntent& intent) {
  CT_ASSIGN_OR_RETURN(LoggedEntry entry, Draft(intent));
  CT_RETURN_IF_ERROR(state.Apply(entry));
  entries.push_back(std::move(entry));
  return state.size() - 1;
}

StatusOr<uint64_t> LedgerBuilder::Try(uint64_t account, const google::protobuf::Message& body) {
  return TrySigned(Sign(account, Complete(account, body)));
}

uint64_t LedgerBuilder::Say(uint64_t account, const google::protobuf::Message& body) {
  return Must(Try(account, body));
}

uint64_t LedgerBuilder::Invite(uint64_t by, v1::Role role, uint32_t uses, uint64_t stake_grant) {
  const uint64_t number = next_key_++;
  v1::Invite invite;
  invite.set_token_key(TestKey(number).public_key());
  invite.set_role(role);
  invite.set_uses(uses);
  invite.set_expires_ms(now_ms + 1'000'000'000);
  invite.set_stake_grant(stake_grant);
  const uint64_t index = Say(by, invite);
  token_keys_[index] = number;
  return index;
}

StatusOr<uint64_t> LedgerBuilder::TryJoin(uint64_t invite, uint64_t key_number) {
  const SigningKey key = TestKey(key_number);
  keys_.emplace(key.public_key(), key);
  v1::TokenClaim claim;
  claim.set_genesis(base::Bytes(state.genesis_hash()));
  claim.set_key(key.public_key());
  v1::AccountOpen open;
  open.set_key(key.public_key());
  open.set_invite(invite);
  open.set_token_signature(TestKey(token_keys_.at(invite)).SignDsse(kTokenType, Encode(claim)));
  open.set_name(next_name.empty() ? fmt::format("person {}", key_number) : next_name);
  next_name.clear();
  return Try(0, open);
}

uint64_t LedgerBuilder::Join(uint64_t invite) { return Must(TryJoin(invite, next_key_++)); }

uint64_t LedgerBuilder::NewAccount(v1::Role role) { return Join(Invite(0, role, 1, 0)); }

uint64_t LedgerBuilder::NewTeacher(uint64_t campaign) {
  const uint64_t stake = Campaign(campaign).open.terms().stake();
  Issue(0, stake);
  const uint64_t teacher = Join(Invite(0, v1::TEACHER, 1, stake));
  Enrol(teacher, campaign, 100);
  return teacher;
}

void LedgerBuilder::Issue(uint64_t to, uint64_t amount) {
  v1::Issue issue;
  issue.set_to(to);
  issue.set_amount(amount);
  Say(1, issue);
}

void LedgerBuilder::Enrol(uint64_t teacher, uint64_t campaign, uint64_t examples) {
  v1::Enrol enrol;
  enrol.set_campaign(campaign);
  enrol.set_examples(examples);
  Say(teacher, enrol);
}

const CampaignState& LedgerBuilder::Campaign(uint64_t campaign) const {
  const CampaignState* found = state.FindCampaign(campaign);
  if (found == nullptr) throw std::runtime_error(fmt::format("no campaign {}", campaign));
  return *found;
}

std::vector<uint64_t> LedgerBuilder::OpenRound(uint64_t campaign) {
  std::vector<uint64_t> connected;
  for (const auto& [account, enrolment] : Campaign(campaign).enrolments) {
    connected.push_back(account);
  }
  const v1::RoundOpen open =
      Must(Select(state, campaign, CandidatesOf(state, campaign, connected)));
  Say(0, open);
  return {open.selected().begin(), open.selected().end()};
}

base::Hash LedgerBuilder::UpdateOf(uint64_t campaign, uint64_t account,
                                   const TeacherPlan& plan) const {
  if (plan.update != 0) return TestHash("update", plan.update);
  return TestHash("own update",
                  (campaign << 32) + Campaign(campaign).round.number * 65536 + account);
}

v1::UpdateCommit LedgerBuilder::CommitOf(uint64_t campaign, uint64_t account,
                                         const TeacherPlan& plan) const {
  auto body = InRound<v1::UpdateCommit>(*this, campaign);
  body.set_commitment(base::Bytes(SealedCommitment(state.genesis_hash(), campaign, body.round(),
                                                   account, UpdateOf(campaign, account, plan),
                                                   SaltOf(campaign, body.round(), account))));
  return body;
}

v1::UpdateReveal LedgerBuilder::RevealOf(uint64_t campaign, uint64_t account,
                                         const TeacherPlan& plan) const {
  auto body = InRound<v1::UpdateReveal>(*this, campaign);
  body.set_update_digest(base::Bytes(UpdateOf(campaign, account, plan)));
  body.set_salt(SaltOf(campaign, body.round(), account));
  return body;
}

v1::UpdateReject LedgerBuilder::RejectOf(uint64_t campaign, uint64_t account,
                                         v1::RejectReason reason) const {
  auto body = InRound<v1::UpdateReject>(*this, campaign);
  body.set_account(account);
  body.set_reason(reason);
  body.set_pass(Campaign(campaign).round.pass);
  return body;
}

v1::RoundCommitClose LedgerBuilder::CommitCloseOf(uint64_t campaign) const {
  auto body = InRound<v1::RoundCommitClose>(*this, campaign);
  body.set_count(static_cast<uint32_t>(Commitments(Campaign(campaign).round)));
  return body;
}

v1::Aggregate LedgerBuilder::AggregateOf(uint64_t campaign, const RoundPlan& plans) const {
  const RoundState& round = Campaign(campaign).round;
  auto body = InRound<v1::Aggregate>(*this, campaign);
  body.set_pass(round.pass + 1);
  body.set_model_digest(
      base::Bytes(TestHash("model", (campaign << 32) + round.number * 65536 + round.pass + 1)));
  for (const uint64_t account : Included(round)) {
    v1::AggregateLine& line = *body.add_lines();
    line.set_account(account);
    line.set_update_digest(base::Bytes(*round.seats.at(account).update));
    line.set_weight(round.seats.at(account).weight);
    line.set_norm_squared(base::EncodeWide(PlanOf(plans, account).norm_squared));
  }
  return body;
}

v1::Score LedgerBuilder::ScoreOf(uint64_t campaign, const RoundPlan& plans) const {
  const CampaignState& now = Campaign(campaign);
  auto body = InRound<v1::Score>(*this, campaign);
  body.set_pass(now.round.pass);
  body.set_scorer(v1::AUMANN_SHAPLEY);
  body.set_scorer_version(1);
  body.set_path_nodes(2);
  body.set_loss_before_q32(now.loss_q32);
  body.set_correct_before(now.correct);
  body.set_correct_after(now.correct);
  body.set_gradient_bits(20);
  body.set_gradient_digest(base::Bytes(TestHash("gradient", now.round.number)));
  base::Int128 loss_after = now.loss_q32;
  for (const v1::AggregateLine& from : now.round.aggregate.lines()) {
    const TeacherPlan& plan = PlanOf(plans, from.account());
    v1::ScoreLine& line = *body.add_lines();
    line.set_account(from.account());
    line.set_update_digest(from.update_digest());
    line.set_weight(from.weight());
    line.set_clip_factor(from.clip_factor());
    line.set_d(base::EncodeWide(plan.d));
    line.set_e(base::EncodeWide(plan.e));
    line.set_phi_q32(plan.phi_q32);
    loss_after -= plan.phi_q32;
  }
  body.set_loss_after_q32(static_cast<uint64_t>(loss_after));
  if (finish_score) finish_score(now.round.aggregate, &body);
  return body;
}

v1::Settle LedgerBuilder::SettleOf(uint64_t campaign) const {
  auto body = InRound<v1::Settle>(*this, campaign);
  body.set_pass(Campaign(campaign).round.pass);
  body.set_parts(1);
  return body;
}

v1::RoundAbort LedgerBuilder::AbortOf(uint64_t campaign, v1::AbortReason reason) const {
  auto body = InRound<v1::RoundAbort>(*this, campaign);
  body.set_reason(reason);
  return body;
}

bool LedgerBuilder::ThroughCommits(uint64_t campaign, const RoundPlan& plans) {
  const std::vector<uint64_t> selected = OpenRound(campaign);
  for (const uint64_t account : selected) {
    const TeacherPlan& plan = PlanOf(plans, account);
    if (plan.commits) Say(account, CommitOf(campaign, account, plan));
  }
  if (!EveryoneCommitted(Campaign(campaign).round)) {
    now_ms = std::max(now_ms, CommitDeadlineMs(Campaign(campaign)));
  }
  if (Commitments(Campaign(campaign).round) < Campaign(campaign).open.terms().quorum()) {
    Say(0, AbortOf(campaign, v1::COMMIT_QUORUM));
    return false;
  }
  Say(0, CommitCloseOf(campaign));
  return true;
}

bool LedgerBuilder::ThroughReveals(uint64_t campaign, const RoundPlan& plans) {
  if (!ThroughCommits(campaign, plans)) return false;
  for (const uint64_t account : Awaited(Campaign(campaign))) {
    const TeacherPlan& plan = PlanOf(plans, account);
    if (plan.reveals) Say(account, RevealOf(campaign, account, plan));
  }
  const std::vector<uint64_t> silent = Awaited(Campaign(campaign));
  if (!silent.empty()) now_ms = std::max(now_ms, UploadDeadlineMs(Campaign(campaign)));
  for (const uint64_t account : silent) Say(0, RejectOf(campaign, account, v1::NO_REVEAL));
  for (const uint64_t account : Duplicates(Campaign(campaign))) {
    Say(0, RejectOf(campaign, account, v1::DUPLICATE));
  }
  return true;
}

bool LedgerBuilder::ThroughScore(uint64_t campaign, const RoundPlan& plans) {
  if (!ThroughReveals(campaign, plans)) return false;
  Say(0, AggregateOf(campaign, plans));
  Say(0, ScoreOf(campaign, plans));
  return true;
}

void LedgerBuilder::RunRound(uint64_t campaign, const RoundPlan& plans) {
  if (!ThroughReveals(campaign, plans)) return;
  const uint32_t quorum = Campaign(campaign).open.terms().quorum();
  if (Included(Campaign(campaign).round).size() < quorum) {
    Say(0, AbortOf(campaign, v1::REVEAL_QUORUM));
    return;
  }
  for (;;) {
    Say(0, AggregateOf(campaign, plans));
    Say(0, ScoreOf(campaign, plans));
    const std::vector<uint64_t> uncovered = Uncovered(state, campaign);
    if (uncovered.empty()) break;
    for (const uint64_t account : uncovered) Say(0, RejectOf(campaign, account, v1::UNCOVERED));
    if (Included(Campaign(campaign).round).size() < quorum) {
      Say(0, AbortOf(campaign, v1::COVER_QUORUM));
      return;
    }
  }
  Say(0, SettleOf(campaign));
}

void LedgerBuilder::CloseAndRefund(uint64_t campaign) {
  const CampaignState& now = Campaign(campaign);
  v1::CampaignClose close;
  close.set_campaign(campaign);
  close.set_validation_digest(now.open.validation_digest());
  Say(now.owner, close);
  now_ms += now.open.terms().dispute_ms();
  v1::Release release;
  release.set_campaign(campaign);
  release.set_parts(static_cast<uint32_t>(
      std::max<size_t>(1, (now.enrolments.size() + kPartTeachers - 1) / kPartTeachers)));
  for (; release.part() < release.parts(); release.set_part(release.part() + 1)) Say(0, release);
  v1::Refund refund;
  refund.set_campaign(campaign);
  Say(0, refund);
}

}  // namespace crowdteach::testing
