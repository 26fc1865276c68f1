// GENESIS, ACCOUNT_OPEN, INVITE, ENROL.
#include <algorithm>

#include "ledger/canonical.h"
#include "ledger/note.h"
#include "ledger/rules_version.h"
#include "ledger/signature.h"
#include "ledger/state_rules.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/base/utc_time.h"

namespace crowdteach::ledger {
namespace {

// The origin is the name of the log's key; a vkey's name has no spaces and no '+'.
Status CheckOrigin(const v1::Genesis& body) {
  CT_ASSIGN_OR_RETURN(const VerifierKey log_key, ParseVkey(body.log_vkey()));
  if (log_key.name == body.origin()) return OkStatus();
  return InvalidArgument("origin \"{}\": the log's key is named \"{}\"", body.origin(),
                         log_key.name);
}

Status CheckToken(const State& state, const v1::AccountOpen& body, const InviteState& invite,
                  uint64_t time_ms) {
  v1::TokenClaim claim;
  claim.set_genesis(base::Bytes(state.genesis_hash()));
  claim.set_key(body.key());
  if (!VerifyDsse(invite.terms.token_key(), kTokenType, Encode(claim), body.token_signature())) {
    return Unauthenticated(
        "the token signature does not fit invite {} and this key: ask for a new one",
        body.invite());
  }
  if (time_ms >= invite.terms.expires_ms()) {
    return FailedPrecondition("invite {} expired at {} and it is {}: ask for a new one",
                              body.invite(), base::UtcTime(invite.terms.expires_ms()),
                              base::UtcTime(time_ms));
  }
  if (invite.used >= invite.terms.uses()) {
    return FailedPrecondition("all {} uses of invite {} are consumed: ask for a new one",
                              invite.terms.uses(), body.invite());
  }
  return OkStatus();
}

}  // namespace

State::Rules::Decision State::Rules::On(const v1::Genesis& body) const {
  CT_RETURN_IF_ERROR(CheckOrigin(body));
  if (const Status known = CheckRulesVersion(body, "this program"); !known.ok()) return known;
  if (body.issuer_key() == body.operator_key()) {
    return InvalidArgument("issuer_key is the operator_key: they must be two keys");
  }
  return Change{{}, [&body](State& next) {
                  next.genesis_ = body;
                  next.accounts_[0] = Account{.key = body.operator_key(), .name = "operator"};
                  next.account_of_key_[body.operator_key()] = 0;
                }};
}

State::Rules::Decision State::Rules::On(const v1::AccountOpen& body) const {
  if (const auto owner = state.AccountOfKey(body.key()); owner.has_value()) {
    return absl::AlreadyExistsError(
        fmt::format("this key is account {} already: go on as that account", *owner));
  }
  Account account{.key = body.key(), .name = body.name(), .invite = body.invite()};
  if (state.size_ == 1) {
    if (body.key() != state.genesis_.issuer_key() || body.invite() != 0) {
      return PermissionDenied(
          "entry 1 opens the issuer's account: its key is {}, without an invite",
          base::Hex(state.genesis_.issuer_key()));
    }
    account.role = v1::ISSUER;
  } else {
    const auto invite = state.invites_.find(body.invite());
    if (invite == state.invites_.end()) {
      return NotFound("there is no invite {}: an invite is named by the index of its INVITE",
                      body.invite());
    }
    CT_RETURN_IF_ERROR(CheckToken(state, body, invite->second, time_ms));
    account.role = invite->second.terms.role();
  }
  return Change{{}, [account = std::move(account)](State& next) {
                  if (account.invite != 0) next.invites_.at(account.invite).used++;
                  next.account_of_key_[account.key] = next.size_;
                  next.accounts_[next.size_] = account;
                }};
}

State::Rules::Decision State::Rules::On(const v1::Invite& body) const {
  const v1::Role inviter = state.accounts_.at(intent.account()).role;
  const bool by_operator = intent.account() == 0;
  if (!by_operator && inviter != v1::OWNER) {
    return PermissionDenied("account {} is {}: only the operator and owners invite",
                            intent.account(), v1::Role_Name(inviter));
  }
  if (!by_operator && body.role() != v1::TEACHER && body.role() != v1::AUDITOR) {
    return PermissionDenied("an owner invites teachers and auditors, not {}",
                            v1::Role_Name(body.role()));
  }
  if (const auto known = state.InviteOfToken(body.token_key()); known.has_value()) {
    return absl::AlreadyExistsError(
        fmt::format("this token key is invite {} already: make a new token", *known));
  }
  if (body.expires_ms() <= time_ms) {
    return InvalidArgument("the invite expires at {} ms and it is {} ms already", body.expires_ms(),
                           time_ms);
  }
  if (body.stake_grant() > static_cast<uint64_t>(kMaxIssued)) {
    return InvalidArgument("a stake grant of {}: must be at most {}", body.stake_grant(),
                           kMaxIssued);
  }
  return Change{
      {}, [this_invite = InviteState{.terms = body, .inviter = intent.account()}](State& next) {
        next.invite_of_token_[this_invite.terms.token_key()] = next.size_;
        next.invites_[next.size_] = this_invite;
      }};
}

State::Rules::Decision State::Rules::On(const v1::Enrol& body) const {
  const uint64_t teacher = intent.account();
  const Account& account = state.accounts_.at(teacher);
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign, Campaign(body.campaign()));
  const v1::Terms& terms = campaign->open.terms();
  if (account.role != v1::TEACHER) {
    return PermissionDenied("account {} is {}: only teachers enrol", teacher,
                            teacher == 0 ? "the operator" : v1::Role_Name(account.role));
  }
  if (campaign->enrolments.count(teacher) != 0) {
    return absl::AlreadyExistsError(
        fmt::format("account {} is enrolled in campaign {} already", teacher, body.campaign()));
  }
  if (campaign->phase != CampaignPhase::kRunning) {
    return FailedPrecondition("campaign {} is {}: it takes no more teachers", body.campaign(),
                              Name(campaign->phase));
  }
  if (body.examples() < 1 || body.examples() > terms.max_examples()) {
    return InvalidArgument("{} examples: must be 1 to {} (max-examples)", body.examples(),
                           terms.max_examples());
  }
  Enrolment enrolment{.examples = body.examples()};
  if (account.invite != 0 && !account.grant_used) {
    const InviteState& invite = state.invites_.at(account.invite);
    enrolment.grant = std::min(invite.terms.stake_grant(), terms.stake());
    enrolment.grantor = invite.inviter;
    CT_RETURN_IF_ERROR(Afford(enrolment.grantor, enrolment.grant, "the invite's stake grant"));
  }
  const uint64_t own = terms.stake() - enrolment.grant;
  CT_RETURN_IF_ERROR(Afford(teacher, own, "the stake beyond the grant"));
  const BalanceKey stake = Stake(body.campaign(), teacher);
  PostingList postings;
  postings.Move(Avail(enrolment.grantor), stake, static_cast<int64_t>(enrolment.grant));
  postings.Move(Avail(teacher), stake, static_cast<int64_t>(own));
  return Change{std::move(postings).Take(), [&body, teacher, enrolment](State& next) {
                  next.campaigns_.at(body.campaign()).enrolments[teacher] = enrolment;
                  if (enrolment.grant > 0) next.accounts_.at(teacher).grant_used = true;
                }};
}

}  // namespace crowdteach::ledger
