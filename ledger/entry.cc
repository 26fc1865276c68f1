#include "ledger/entry.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <tuple>

#include "ledger/body_checks.h"
#include "ledger/canonical.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

constexpr size_t kSaltBytes = 32;

// Which of campaign and account name a balance of this kind.
Status CheckPostingKey(const v1::Posting& posting) {
  const auto kind = posting.kind();
  const bool campaign = kind == v1::STAKE || kind == v1::ESCROW || kind == v1::HELD;
  const bool account = kind == v1::AVAIL || kind == v1::STAKE || kind == v1::HELD;
  if (kind == v1::BALANCE_KIND_UNSPECIFIED) return InvalidArgument("a posting without a kind");
  if (campaign != (posting.campaign() != 0) || (!account && posting.account() != 0)) {
    return InvalidArgument("a posting on {} names campaign {}, account {}",
                           v1::BalanceKind_Name(kind), posting.campaign(), posting.account());
  }
  return OkStatus();
}

Status CheckPostings(const v1::Entry& entry) {
  __extension__ using Wide = __int128;  // 65,535 bytes of int64 amounts cannot overflow it
  Wide sum = 0;
  const v1::Posting* last = nullptr;
  const auto key = [](const v1::Posting& p) {
    return std::tuple(p.kind(), p.campaign(), p.account());
  };
  for (const v1::Posting& posting : entry.postings()) {
    CT_RETURN_IF_ERROR(CheckPostingKey(posting));
    if (posting.amount() == 0) return InvalidArgument("a posting of zero");
    if (last != nullptr && key(*last) >= key(posting)) {
      return InvalidArgument("postings are not sorted by kind, campaign, account, one each");
    }
    sum += posting.amount();
    last = &posting;
  }
  if (sum != 0) return InvalidArgument("the postings do not sum to zero");
  return OkStatus();
}

// What of the envelope depends on the kind of body.
Status CheckEnvelope(const v1::Intent& intent) {
  const bool genesis = intent.has_genesis_body();
  const bool open = intent.has_account_open();
  CT_RETURN_IF_ERROR(CheckBytes("genesis", intent.genesis(), genesis ? 0 : 32));
  if (intent.not_after_ms() == 0) return InvalidArgument("not_after_ms is absent");
  if (open && (intent.account() != 0 || intent.sequence() != 0)) {
    return InvalidArgument("ACCOUNT_OPEN carries account {} and sequence {}, both must be absent",
                           intent.account(), intent.sequence());
  }
  if (!open && intent.sequence() == 0) return InvalidArgument("sequence is absent");
  if (genesis && (intent.account() != 0 || intent.sequence() != 1)) {
    return InvalidArgument("GENESIS is sequence 1 of account 0, not {} of {}", intent.sequence(),
                           intent.account());
  }
  return OkStatus();
}

Status CheckSigned(const v1::SignedIntent& intent) {
  return CheckBytes("signature", intent.signature(), 64);
}

}  // namespace

StatusOr<v1::Intent> DecodeIntent(std::string_view payload) {
  if (payload.size() > kMaxEntryBytes) {
    return InvalidArgument("an intent of {} bytes, at most {} are allowed", payload.size(),
                           kMaxEntryBytes);
  }
  CT_ASSIGN_OR_RETURN(v1::Intent intent, Decode<v1::Intent>(payload));
  if (intent.body_case() == v1::Intent::BODY_NOT_SET)
    return InvalidArgument("an intent without a body");
  Status status = CheckEnvelope(intent);
  if (status.ok()) status = CheckBody(intent);
  if (!status.ok()) return Annotate(status, BodyName(intent));
  return intent;
}

StatusOr<LoggedEntry> DecodeEntry(std::string_view bytes) {
  if (bytes.size() > kMaxEntryBytes) {
    return InvalidArgument("an entry of {} bytes, at most {} are allowed", bytes.size(),
                           kMaxEntryBytes);
  }
  LoggedEntry logged;
  CT_RETURN_IF_ERROR(Decode(bytes, &logged.entry));
  CT_RETURN_IF_ERROR(CheckBytes("prev", logged.entry.prev(), 32));
  if (logged.entry.time_ms() == 0) return InvalidArgument("time_ms is absent");
  if (!logged.entry.has_intent()) return InvalidArgument("an entry without an intent");
  CT_RETURN_IF_ERROR(CheckSigned(logged.entry.intent()));
  CT_ASSIGN_OR_RETURN(logged.intent, DecodeIntent(logged.entry.intent().payload()));
  CT_RETURN_IF_ERROR(CheckPostings(logged.entry));
  logged.bytes = std::string(bytes);
  logged.leaf = base::LeafHash(bytes);
  return logged;
}

v1::SignedIntent SignIntent(const v1::Intent& intent, const SigningKey& key) {
  v1::SignedIntent out;
  out.set_payload(Encode(intent));
  out.set_signature(key.SignDsse(kIntentType, out.payload()));
  return out;
}

std::string_view BodyName(const v1::Intent& intent) {
  switch (intent.body_case()) {
    case v1::Intent::kGenesisBody:
      return "GENESIS";
    case v1::Intent::kAccountOpen:
      return "ACCOUNT_OPEN";
    case v1::Intent::kInvite:
      return "INVITE";
    case v1::Intent::kEnrol:
      return "ENROL";
    case v1::Intent::kIssue:
      return "ISSUE";
    case v1::Intent::kCampaignOpen:
      return "CAMPAIGN_OPEN";
    case v1::Intent::kCampaignClose:
      return "CAMPAIGN_CLOSE";
    case v1::Intent::kRelease:
      return "RELEASE";
    case v1::Intent::kRefund:
      return "REFUND";
    case v1::Intent::kRoundOpen:
      return "ROUND_OPEN";
    case v1::Intent::kUpdateCommit:
      return "UPDATE_COMMIT";
    case v1::Intent::kRoundCommitClose:
      return "ROUND_COMMIT_CLOSE";
    case v1::Intent::kUpdateReveal:
      return "UPDATE_REVEAL";
    case v1::Intent::kUpdateReject:
      return "UPDATE_REJECT";
    case v1::Intent::kAggregate:
      return "AGGREGATE";
    case v1::Intent::kScore:
      return "SCORE";
    case v1::Intent::kSettle:
      return "SETTLE";
    case v1::Intent::kRoundAbort:
      return "ROUND_ABORT";
    case v1::Intent::BODY_NOT_SET:
      return "(no body)";
  }
  return "(unknown body)";
}

base::Hash SealedCommitment(const base::Hash& genesis, uint64_t campaign, uint32_t round,
                            uint64_t account, const base::Hash& update_digest,
                            std::string_view salt) {
  CT_ASSERT(salt.size() == kSaltBytes);
  std::string text = "crowdteach/v1/commit\n";
  text += base::View(genesis);
  base::AppendU64(text, campaign);
  base::AppendU32(text, round);
  base::AppendU64(text, account);
  text += base::View(update_digest);
  text += salt;
  return base::Sha256Of(text);
}

}  // namespace crowdteach::ledger
