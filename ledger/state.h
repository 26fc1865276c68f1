// The ledger's state machine: which intents are legal, and which postings they cause.
//
// State is the fold of all entries so far. Postings() says what an intent would post if it were
// logged at `time_ms`, or why it must be refused; Apply() takes a logged entry, compares its
// postings with those, checks signature, sequence, times and chain, and moves on. The coordinator
// and the auditor run this same code; nothing else decides what is legal.
//
// round.h, selection.h and reward.h answer what the next legal entries of a round are; RULES.md
// lists the rules by entry type.
//
// Pure: no I/O, no clock, no randomness, no floating point. Not thread-safe; copies are independent
// (cheap enough for tests, not for hot paths).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "ledger/entry.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

inline constexpr uint64_t kMaxNotAfterMs = uint64_t{24} * 3600 * 1000;
// Credits ever issued: sums of balances then stay within int64.
inline constexpr int64_t kMaxIssued = int64_t{1} << 62;
inline constexpr uint32_t kRulesVersion = 0;
// Teachers in one RELEASE part, in account order.
inline constexpr size_t kPartTeachers = 256;

struct BalanceKey {
  v1::BalanceKind kind = v1::BALANCE_KIND_UNSPECIFIED;
  uint64_t campaign = 0;
  uint64_t account = 0;
  auto operator<=>(const BalanceKey&) const = default;
};

struct Account {
  std::string key;  // Ed25519 public key
  std::string name;
  v1::Role role = v1::ROLE_UNSPECIFIED;
  uint64_t next_sequence = 1;
  uint64_t invite = 0;      // index of the INVITE; 0 for operator and issuer
  bool grant_used = false;  // the invite's stake grant was lent to this account
};

struct InviteState {
  v1::Invite terms;
  uint64_t inviter = 0;
  uint32_t used = 0;
};

struct Enrolment {
  uint64_t examples = 0;
  uint64_t grant = 0;  // part of the stake lent by `grantor`, returned first
  uint64_t grantor = 0;
  int64_t score_q32 = 0;  // sum of phi over settled rounds
};

// kIdle: no round is open. kAggregated: AGGREGATE(pass) stands last; kScored: SCORE(pass) does.
// A round under `open_commitments` starts in kUpload.
enum class Phase { kIdle, kCommit, kUpload, kAggregated, kScored };

// Where one selected teacher stands in the open round.
struct Seat {
  uint64_t weight = 0;  // m_i
  std::optional<base::Hash> commitment;
  // Of the UPDATE_COMMIT entry (UPDATE_REVEAL under open_commitments): the earliest owns a
  // duplicate.
  uint64_t commit_index = 0;
  std::optional<base::Hash> update;
  std::string salt;  // of the UPDATE_REVEAL; kept when the update is rejected later
  v1::RejectReason rejected = v1::REJECT_REASON_UNSPECIFIED;
};

struct RoundState {
  uint32_t number = 0;  // the open round, else the last one; 0 before the first
  Phase phase = Phase::kIdle;
  uint64_t opened_ms = 0;          // entry time of ROUND_OPEN
  uint64_t commit_closed_ms = 0;   // entry time of ROUND_COMMIT_CLOSE
  std::map<uint64_t, Seat> seats;  // by account
  uint32_t pass = 0;
  v1::Aggregate aggregate;  // of this pass
  v1::Score score;          // of this pass
};

enum class CampaignPhase { kRunning, kEnded, kClosed, kReleased, kRefunded };

struct CampaignState {
  uint64_t owner = 0;
  v1::CampaignOpen open;
  CampaignPhase phase = CampaignPhase::kRunning;  // kEnded: all rounds settled, or too many aborts
  uint32_t settled_rounds = 0;
  uint32_t aborts_in_row = 0;
  uint64_t last_round_ms = 0;  // entry time of the last SETTLE or ROUND_ABORT, else of the opening
  base::Hash model_digest{};   // after the last settled round
  uint64_t loss_q32 = 0;
  uint64_t correct = 0;
  std::vector<std::string> last_salts;  // revealed in the last round, by account
  std::map<uint64_t, Enrolment> enrolments;
  RoundState round;
  uint64_t closed_ms = 0;
  bool default_close = false;
  int64_t share_pool = 0;       // escrow at a default close, shared by score in RELEASE
  uint32_t released_parts = 0;  // RELEASE entries so far
  base::Hash zero_update{};     // digest of the all-zero update, which may be sent by many
};

// A signature check made before its entry's turn: whether its intent is signed by `key`.
struct CheckedSignature {
  std::string key;
  bool holds = false;
};

class State {
 public:
  // What logging `intent` at `time_ms` as the next entry would post, sorted by key.
  // kInvalidArgument: malformed. kUnauthenticated: bad signature or unknown account.
  // kAlreadyExists: this sequence number, key or commitment was used. kFailedPrecondition: not
  // legal now (wrong phase, stale round, past not-after, …). kPermissionDenied: not this actor's to
  // say. kResourceExhausted: too few credits. kNotFound: no such account, campaign, invite. Every
  // message says what was found, what was expected, and what to do.
  //
  // `not_after_ms` must not be before `time_ms`, nor more than kMaxNotAfterMs after it: authors
  // reckon it from a log time they have seen, which is never later than the entry's own. Sequence
  // numbers are used in order and only by logging.
  StatusOr<std::vector<v1::Posting>> Postings(const v1::SignedIntent& intent,
                                              uint64_t time_ms) const;

  // Takes the next entry. Checks index, prev, time order, and that the entry's postings equal
  // Postings(intent, time); on error the state is unchanged (kDataLoss for index, prev, time and
  // postings that differ; else as above). `checked`, if given, was made of this very entry and
  // saves the check of its signature when its key is the one that must have signed.
  Status Apply(const LoggedEntry& entry, const CheckedSignature* checked = nullptr);

  // Makes the next entry of `intent` and takes it: Postings and Apply in one, with one signature
  // check. Errors as Postings, also when the entry would be too long; the state is then unchanged.
  StatusOr<LoggedEntry> Append(const v1::SignedIntent& intent, uint64_t time_ms);

  uint64_t size() const { return size_; }
  const base::Hash& last_leaf() const { return last_leaf_; }  // zeros before the first entry
  uint64_t last_time_ms() const { return last_time_ms_; }
  const base::Hash& genesis_hash() const { return genesis_hash_; }
  const v1::Genesis& genesis() const { return genesis_; }

  // 0 for what does not exist.
  int64_t Balance(const BalanceKey& key) const;
  const std::map<BalanceKey, int64_t>& balances() const { return balances_; }
  const std::map<uint64_t, Account>& accounts() const { return accounts_; }  // 0 is the operator
  const Account* FindAccount(uint64_t account) const;
  std::optional<uint64_t> AccountOfKey(std::string_view public_key) const;
  const std::map<uint64_t, InviteState>& invites() const { return invites_; }
  std::optional<uint64_t> InviteOfToken(std::string_view token_key) const;
  const std::map<uint64_t, CampaignState>& campaigns() const { return campaigns_; }
  const CampaignState* FindCampaign(uint64_t campaign) const;

 private:
  struct Change;  // one legal intent, decided: its postings and how the state moves
  struct Rules;   // state_rules.h: one function an entry type
  StatusOr<Change> Decide(const v1::Intent& intent, const v1::SignedIntent& signed_intent,
                          uint64_t time_ms, const CheckedSignature* checked = nullptr) const;
  Status CheckEnvelope(const v1::Intent& intent, const v1::SignedIntent& signed_intent,
                       uint64_t time_ms, const CheckedSignature* checked) const;
  void Advance(const LoggedEntry& logged, const Change& change);
  void Post(const std::vector<v1::Posting>& postings);

  uint64_t size_ = 0;
  base::Hash last_leaf_{};
  uint64_t last_time_ms_ = 0;
  base::Hash genesis_hash_{};
  v1::Genesis genesis_;
  std::map<BalanceKey, int64_t> balances_;
  std::map<uint64_t, Account> accounts_;
  std::map<std::string, uint64_t, std::less<>> account_of_key_;
  std::map<uint64_t, InviteState> invites_;
  std::map<std::string, uint64_t, std::less<>> invite_of_token_;
  std::map<uint64_t, CampaignState> campaigns_;
};

}  // namespace crowdteach::ledger
