#include "server/access.h"

#include <string_view>

#include "ledger/round.h"
#include "ledger/words.h"
#include "proto/wire/chunks.h"

namespace crowdteach::server {
namespace {

using ledger::CampaignState;

bool IsAuditor(const ledger::State& state, uint64_t account) {
  const ledger::Account* found = state.FindAccount(account);
  return found != nullptr && found->role == v1::AUDITOR;
}

bool Among(const ledger::State& state, const CampaignState& campaign,
           std::optional<uint64_t> account, v1::Readers readers) {
  if (readers == v1::PUBLIC) return true;
  if (!account.has_value()) return false;
  if (*account == campaign.owner || IsAuditor(state, *account)) return true;
  return readers == v1::ENROLLED && campaign.enrolments.contains(*account);
}

// Validation set and gradients before the owner's reveal.
bool Secret(const CampaignState& campaign, base::BlobKind kind) {
  const bool kept = kind == base::BlobKind::kValidation || kind == base::BlobKind::kGradient;
  return kept && (campaign.closed_ms == 0 || campaign.default_close);
}

Status MayReadUse(const ledger::State& state, const BlobUse& use, std::optional<uint64_t> account) {
  const CampaignState& campaign = *state.FindCampaign(use.campaign);
  const v1::Terms& terms = campaign.open.terms();
  if (account.has_value() && *account == campaign.owner) return OkStatus();
  // Code is what the terms say the model is, and read like them: before one enrols.
  v1::Readers readers = use.kind == base::BlobKind::kCode ? v1::PUBLIC : v1::ENROLLED;
  if (use.kind == base::BlobKind::kUpdate) readers = terms.update_readers();
  if (use.kind == base::BlobKind::kValidation || use.kind == base::BlobKind::kGradient) {
    readers = terms.validation_readers();
    if (Secret(campaign, use.kind)) {
      return PermissionDenied("campaign {} keeps its {} secret until its owner closes it",
                              use.campaign, base::BlobKindName(use.kind));
    }
  }
  if (Among(state, campaign, account, readers)) return OkStatus();
  return PermissionDenied("by the terms of campaign {} this {} blob is for {} only", use.campaign,
                          base::BlobKindName(use.kind), ledger::InWords(readers));
}

Status MayUploadUpdate(const ledger::State& state, uint64_t account, const v1::UploadHead& head) {
  const CampaignState* campaign = state.FindCampaign(head.campaign());
  if (campaign == nullptr) return NotFound("there is no campaign {}", head.campaign());
  const ledger::RoundState& round = campaign->round;
  if (round.number != head.round() || round.phase == ledger::Phase::kIdle) {
    return FailedPrecondition("the update is for round {} of campaign {}, which is {}",
                              head.round(), head.campaign(),
                              head.round() > round.number ? "not open yet" : "over");
  }
  if (round.phase != ledger::Phase::kUpload) {
    return FailedPrecondition(
        "round {} takes updates only between its closed commit phase and its "
        "upload deadline",
        head.round());
  }
  const auto seat = round.seats.find(account);
  if (seat == round.seats.end()) {
    return PermissionDenied("account {} was not selected for round {}", account, head.round());
  }
  if (!seat->second.commitment.has_value() && !campaign->open.terms().open_commitments()) {
    return PermissionDenied("account {} has not committed to an update in round {}", account,
                            head.round());
  }
  if (seat->second.update.has_value() || seat->second.rejected != v1::REJECT_REASON_UNSPECIFIED) {
    return FailedPrecondition("the update of account {} in round {} is settled already", account,
                              head.round());
  }
  // A shorter one is taken, so that its reveal can be put on the ledger and rejected for its shape.
  const uint64_t most = campaign->open.parameters() * 4;
  if (head.size_bytes() > most) {
    return ResourceExhausted(
        "an update of this campaign has {} bytes (4 for each of {} trainable "
        "parameters), not {}",
        most, campaign->open.parameters(), head.size_bytes());
  }
  return OkStatus();
}

}  // namespace

StatusOr<uint64_t> MayRead(const ledger::State& state, const Marks& marks,
                           std::optional<uint64_t> account, base::BlobKind kind,
                           const base::Hash& digest) {
  Status refusal =
      NotFound("no campaign names a {} blob {}", base::BlobKindName(kind), base::Hex(digest));
  for (const BlobUse& use : marks.UsesOf(digest)) {
    if (use.kind != kind) continue;
    refusal = MayReadUse(state, use, account);
    if (refusal.ok()) return use.campaign;
  }
  return refusal;
}

Status MayUpload(const ledger::State& state, uint64_t account, const v1::UploadHead& head) {
  CT_RETURN_IF_ERROR(base::HashFromBytes(head.digest()).status());
  if (head.size_bytes() == 0) return InvalidArgument("an upload of no bytes");
  CT_ASSIGN_OR_RETURN(const base::BlobKind kind, wire::BlobKindOf(head.kind()));
  if (kind == base::BlobKind::kUpdate) return MayUploadUpdate(state, account, head);
  if (kind == base::BlobKind::kGradient) {
    return PermissionDenied("gradients are the coordinator's own");
  }
  const ledger::Account* found = state.FindAccount(account);
  if (found == nullptr || found->role != v1::OWNER) {
    return PermissionDenied(
        "only a model owner uploads {}; account {} is none; ask the operator "
        "for an invite with role owner",
        base::BlobKindName(kind), account);
  }
  if (head.size_bytes() > kMaxOwnerBlobBytes) {
    return ResourceExhausted("a {} blob of {} bytes; at most {} are taken",
                             base::BlobKindName(kind), head.size_bytes(), kMaxOwnerBlobBytes);
  }
  return OkStatus();
}

bool Exportable(const ledger::State& state, const Marks& marks, const base::Hash& digest) {
  const std::vector<BlobUse> uses = marks.UsesOf(digest);
  for (const BlobUse& use : uses) {
    if (Secret(*state.FindCampaign(use.campaign), use.kind)) return false;
  }
  return !uses.empty();
}

}  // namespace crowdteach::server
