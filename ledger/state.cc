#include "ledger/state.h"

#include <algorithm>

#include "ledger/canonical.h"
#include "ledger/signature.h"
#include "ledger/state_rules.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

// Sums of a time and a few durations never overflow below this.
constexpr uint64_t kMaxTimeMs = uint64_t{1} << 53;

BalanceKey KeyOf(const v1::Posting& posting) {
  return {posting.kind(), posting.campaign(), posting.account()};
}

std::string Describe(const v1::Posting& posting) {
  return fmt::format("{}/{}/{} {:+}", v1::BalanceKind_Name(posting.kind()), posting.campaign(),
                     posting.account(), posting.amount());
}

// kDataLoss naming the first posting that differs from what the rules give.
template <typename Recorded>
Status ComparePostings(const Recorded& recorded, const std::vector<v1::Posting>& expected) {
  const size_t recorded_count = static_cast<size_t>(recorded.size());
  for (size_t i = 0; i < std::max(recorded_count, expected.size()); ++i) {
    if (i >= recorded_count) {
      return DataLoss("posting {} is missing: the rules give {}", i, Describe(expected[i]));
    }
    const v1::Posting& found = recorded[static_cast<int>(i)];
    if (i >= expected.size()) {
      return DataLoss("posting {} is {}, but the rules give only {}", i, Describe(found),
                      expected.size());
    }
    if (KeyOf(found) != KeyOf(expected[i]) || found.amount() != expected[i].amount()) {
      return DataLoss("posting {} is {}, but the rules give {}", i, Describe(found),
                      Describe(expected[i]));
    }
  }
  return OkStatus();
}

}  // namespace

Status State::CheckEnvelope(const v1::Intent& intent, const v1::SignedIntent& signed_intent,
                            uint64_t time_ms, const CheckedSignature* checked) const {
  if (time_ms < last_time_ms_ || time_ms > kMaxTimeMs) {
    return FailedPrecondition("time {} ms: must be {} (the last entry's) to {}", time_ms,
                              last_time_ms_, kMaxTimeMs);
  }
  const bool genesis = intent.has_genesis_body();
  const bool opening = intent.has_account_open();
  if (genesis != (size_ == 0)) {
    return FailedPrecondition("{} cannot be entry {}: entry 0 is GENESIS, and no other is",
                              BodyName(intent), size_);
  }
  if (size_ == 1 && !opening) {
    return FailedPrecondition("{} cannot be entry 1: that is the issuer's ACCOUNT_OPEN",
                              BodyName(intent));
  }
  if (intent.genesis() != (genesis ? "" : base::View(genesis_hash_))) {
    return FailedPrecondition("this intent is for the log of genesis \"{}\", this log's is \"{}\"",
                              base::Hex(intent.genesis()), genesis ? "" : base::Hex(genesis_hash_));
  }
  const Account* account = genesis || opening ? nullptr : FindAccount(intent.account());
  if (account == nullptr && !genesis && !opening) {
    return Unauthenticated("there is no account {}: open one with an invite", intent.account());
  }
  const std::string& key = genesis   ? intent.genesis_body().operator_key()
                           : opening ? intent.account_open().key()
                                     : account->key;
  const bool holds =
      checked != nullptr && checked->key == key
          ? checked->holds
          : VerifyDsse(key, kIntentType, signed_intent.payload(), signed_intent.signature());
  if (!holds) {
    return Unauthenticated("the signature of this {} is not by the key {}", BodyName(intent),
                           base::Hex(key));
  }
  if ((genesis || opening) && intent.account() != 0) {
    return InvalidArgument("{} names account {}: it must name none", BodyName(intent),
                           intent.account());
  }
  const uint64_t expected = opening ? 0 : genesis ? 1 : account->next_sequence;
  if (intent.sequence() < expected) {
    return absl::AlreadyExistsError(
        fmt::format("account {} has used sequence number {}: its next is {}", intent.account(),
                    intent.sequence(), expected));
  }
  if (intent.sequence() > expected) {
    return FailedPrecondition("sequence number {} of account {}: its next is {}", intent.sequence(),
                              intent.account(), expected);
  }
  if (intent.not_after_ms() < time_ms) {
    return FailedPrecondition("this intent was to be logged by {} ms and it is {} ms: sign it anew",
                              intent.not_after_ms(), time_ms);
  }
  if (intent.not_after_ms() - time_ms > kMaxNotAfterMs) {
    return FailedPrecondition(
        "not_after_ms {} is more than 24 h after {} ms: reckon it from the "
        "log's last entry",
        intent.not_after_ms(), time_ms);
  }
  return OkStatus();
}

StatusOr<State::Change> State::Decide(const v1::Intent& intent,
                                      const v1::SignedIntent& signed_intent, uint64_t time_ms,
                                      const CheckedSignature* checked) const {
  CT_RETURN_IF_ERROR(CheckEnvelope(intent, signed_intent, time_ms, checked));
  return Rules{*this, intent, time_ms}.Decide();
}

StatusOr<std::vector<v1::Posting>> State::Postings(const v1::SignedIntent& intent,
                                                   uint64_t time_ms) const {
  CT_ASSIGN_OR_RETURN(const v1::Intent decoded, DecodeIntent(intent.payload()));
  CT_ASSIGN_OR_RETURN(Change change, Decide(decoded, intent, time_ms));
  return std::move(change.postings);
}

Status State::Apply(const LoggedEntry& logged, const CheckedSignature* checked) {
  const v1::Entry& entry = logged.entry;
  if (entry.index() != size_) {
    return DataLoss("the entry says it is entry {}, it stands at {}", entry.index(), size_);
  }
  if (entry.prev() != base::View(last_leaf_)) {
    return DataLoss("prev is {}, the entry before has leaf hash {}", base::Hex(entry.prev()),
                    base::Hex(last_leaf_));
  }
  if (entry.time_ms() < last_time_ms_) {
    return DataLoss("time {} ms is before the last entry's {} ms", entry.time_ms(), last_time_ms_);
  }
  CT_ASSIGN_OR_RETURN(const Change change,
                      Decide(logged.intent, entry.intent(), entry.time_ms(), checked));
  CT_RETURN_IF_ERROR(ComparePostings(entry.postings(), change.postings));
  Advance(logged, change);
  return OkStatus();
}

StatusOr<LoggedEntry> State::Append(const v1::SignedIntent& intent, uint64_t time_ms) {
  CT_ASSIGN_OR_RETURN(const v1::Intent decoded, DecodeIntent(intent.payload()));
  CT_ASSIGN_OR_RETURN(const Change change, Decide(decoded, intent, time_ms));
  v1::Entry entry;
  entry.set_index(size_);
  entry.set_prev(base::Bytes(last_leaf_));
  entry.set_time_ms(time_ms);
  *entry.mutable_intent() = intent;
  for (const v1::Posting& posting : change.postings) *entry.add_postings() = posting;
  // Read back as replay will: too long an entry, or an unknown field beside payload and signature,
  // must not get into the log.
  CT_ASSIGN_OR_RETURN(LoggedEntry logged, DecodeEntry(Encode(entry)));
  Advance(logged, change);
  return logged;
}

void State::Advance(const LoggedEntry& logged, const Change& change) {
  Post(change.postings);
  change.move(*this);
  if (size_ == 0) genesis_hash_ = logged.leaf;
  if (!logged.intent.has_account_open()) accounts_.at(logged.intent.account()).next_sequence++;
  ++size_;
  last_leaf_ = logged.leaf;
  last_time_ms_ = logged.entry.time_ms();
}

void State::Post(const std::vector<v1::Posting>& postings) {
  Int128 sum = 0;
  for (const v1::Posting& posting : postings) {
    const BalanceKey key = KeyOf(posting);
    int64_t& balance = balances_[key];
    CT_ASSERT(!__builtin_add_overflow(balance, posting.amount(), &balance));
    CT_ASSERT(balance >= 0 || key.kind == v1::ISSUED);
    if (balance == 0) balances_.erase(key);
    sum += posting.amount();
  }
  CT_ASSERT(sum == 0);
}

int64_t State::Balance(const BalanceKey& key) const {
  const auto found = balances_.find(key);
  return found == balances_.end() ? 0 : found->second;
}

const Account* State::FindAccount(uint64_t account) const {
  const auto found = accounts_.find(account);
  return found == accounts_.end() ? nullptr : &found->second;
}

std::optional<uint64_t> State::AccountOfKey(std::string_view public_key) const {
  const auto found = account_of_key_.find(public_key);
  if (found == account_of_key_.end()) return std::nullopt;
  return found->second;
}

std::optional<uint64_t> State::InviteOfToken(std::string_view token_key) const {
  const auto found = invite_of_token_.find(token_key);
  if (found == invite_of_token_.end()) return std::nullopt;
  return found->second;
}

const CampaignState* State::FindCampaign(uint64_t campaign) const {
  const auto found = campaigns_.find(campaign);
  return found == campaigns_.end() ? nullptr : &found->second;
}

}  // namespace crowdteach::ledger
