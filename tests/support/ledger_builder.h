// Signed, legal histories for tests: every entry goes through State as in a real log.
//
//   LedgerBuilder log;                                   // GENESIS, the issuer's account
//   const uint64_t owner = log.NewAccount(v1::OWNER);
//   log.Issue(owner, 1000);
//   const uint64_t campaign = log.OpenCampaign(owner, SmallCampaign());
//   const uint64_t teacher = log.NewTeacher(campaign);   // invited, opened, granted, enrolled
//   log.RunRound(campaign, {{teacher, {.phi_q32 = kNat / 10}}});
//
// What must succeed throws std::runtime_error with the refusal when it does not; Try returns it.
// Keys, salts and digests are derived from small numbers, so histories are the same in every run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/entry.h"
#include "ledger/signature.h"
#include "ledger/state.h"
#include "proto/base/wide.h"

namespace crowdteach::testing {

inline constexpr int64_t kNat = int64_t{1} << 32;

ledger::SigningKey TestKey(uint64_t number);
base::Hash TestHash(std::string_view name, uint64_t number);

// A valid CAMPAIGN_OPEN: 3 rounds, 4 teachers, quorum 2, L0 = 2 nats, 100 credits a nat, budget
// 300, stake 50, min-cover 10, norm cap 2^20, weights equal, max-aborts 2, all phases 1,000 ms.
v1::CampaignOpen SmallCampaign();

// What a teacher does in a round, and how it is scored.
struct TeacherPlan {
  int64_t phi_q32 = 0;
  base::Int128 norm_squared = 1;
  base::Int128 d = 1;
  base::Int128 e = 1;
  uint64_t update = 0;  // names TestHash("update", update); 0: one of its own a round
  bool commits = true;
  bool reveals = true;
};
using RoundPlan = std::map<uint64_t, TeacherPlan>;  // by account; the default for those absent

struct LedgerBuilder {
  LedgerBuilder();

  ledger::State state;
  std::vector<ledger::LoggedEntry> entries;
  uint64_t now_ms = 1'700'000'000'000;
  ledger::SigningKey log_key, operator_key, issuer_key;
  std::string next_name;  // of the next account; empty: "person ‹key number›"
  // Last word on a SCORE before it is logged, for tests that need real D, E and phi.
  std::function<void(const v1::Aggregate&, v1::Score*)> finish_score;

  // The intent of `account` with this body; genesis, sequence and not-after filled in.
  v1::Intent Complete(uint64_t account, const google::protobuf::Message& body) const;
  v1::SignedIntent Sign(uint64_t account, const v1::Intent& intent) const;
  // The next entry for this intent with the postings of the rules; not applied.
  StatusOr<ledger::LoggedEntry> Draft(const v1::SignedIntent& intent) const;
  // Completes, signs, drafts, applies; the entry's index.
  StatusOr<uint64_t> Try(uint64_t account, const google::protobuf::Message& body);
  uint64_t Say(uint64_t account, const google::protobuf::Message& body);
  StatusOr<uint64_t> TrySigned(const v1::SignedIntent& intent);

  uint64_t Invite(uint64_t by, v1::Role role, uint32_t uses, uint64_t stake_grant);
  StatusOr<uint64_t> TryJoin(uint64_t invite, uint64_t key_number);
  uint64_t Join(uint64_t invite);          // with a key of its own
  uint64_t NewAccount(v1::Role role);      // invited by the operator
  uint64_t NewTeacher(uint64_t campaign);  // its stake granted by the operator, who is issued it
  void Issue(uint64_t to, uint64_t amount);
  uint64_t OpenCampaign(uint64_t owner, const v1::CampaignOpen& open) { return Say(owner, open); }
  void Enrol(uint64_t teacher, uint64_t campaign, uint64_t examples);

  const ledger::CampaignState& Campaign(uint64_t campaign) const;
  // ROUND_OPEN with every enrolled teacher connected; the selected ones.
  std::vector<uint64_t> OpenRound(uint64_t campaign);
  base::Hash UpdateOf(uint64_t campaign, uint64_t account, const TeacherPlan& plan) const;
  v1::UpdateCommit CommitOf(uint64_t campaign, uint64_t account, const TeacherPlan& plan) const;
  v1::UpdateReveal RevealOf(uint64_t campaign, uint64_t account, const TeacherPlan& plan) const;
  v1::UpdateReject RejectOf(uint64_t campaign, uint64_t account, v1::RejectReason reason) const;
  v1::RoundCommitClose CommitCloseOf(uint64_t campaign) const;
  v1::Aggregate AggregateOf(uint64_t campaign, const RoundPlan& plans) const;
  v1::Score ScoreOf(uint64_t campaign, const RoundPlan& plans) const;
  v1::Settle SettleOf(uint64_t campaign) const;
  v1::RoundAbort AbortOf(uint64_t campaign, v1::AbortReason reason) const;

  // Each stage of a round up to and with the named entry. False: too few committed, and the round
  // ended in ROUND_ABORT.
  bool ThroughCommits(uint64_t campaign, const RoundPlan& plans);  // ROUND_COMMIT_CLOSE
  bool ThroughReveals(uint64_t campaign, const RoundPlan& plans);  // NO_REVEAL, DUPLICATE
  bool ThroughScore(uint64_t campaign, const RoundPlan& plans);    // SCORE of pass 1
  // A whole round, cover rule included: ends in SETTLE or, below quorum, in ROUND_ABORT.
  void RunRound(uint64_t campaign, const RoundPlan& plans);
  void CloseAndRefund(uint64_t campaign);  // the owner's close, RELEASE, REFUND

 private:
  uint64_t next_key_ = 100;
  std::map<std::string, ledger::SigningKey> keys_;  // by public key
  std::map<uint64_t, uint64_t> token_keys_;         // key number of an invite's token
};

// The intent with this body; an intent itself is handed back.
v1::Intent IntentOf(const google::protobuf::Message& body);

}  // namespace crowdteach::testing
