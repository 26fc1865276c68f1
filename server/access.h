// Who may read and upload which blob: pure rules over the ledger's state.
#pragma once

#include <cstdint>
#include <optional>

#include "crowdteach/v1/coordinator.pb.h"
#include "ledger/state.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "server/marks.h"

namespace crowdteach::server {

// Largest first weights and validation set an owner may upload.
inline constexpr uint64_t kMaxOwnerBlobBytes = uint64_t{16} << 30;

// What may be asked for.
inline constexpr base::BlobKind kServedKinds[] = {
    base::BlobKind::kWeights, base::BlobKind::kUpdate, base::BlobKind::kGradient,
    base::BlobKind::kValidation, base::BlobKind::kCode};

// May `account` (empty: anybody at all) read this blob? Weights: the enrolled, the owner, auditors.
// A model's code: everybody, as it is part of the terms.
// Updates: the owner and the readers the terms name. Validation set and gradients: the same, once
// the campaign is closed with its reveal; the owner always. Returns the campaign whose terms say
// so. kNotFound: no campaign names this blob. kPermissionDenied: says who may.
StatusOr<uint64_t> MayRead(const ledger::State& state, const Marks& marks,
                           std::optional<uint64_t> account, base::BlobKind kind,
                           const base::Hash& digest);

// May `account` upload this blob now? An owner: first weights, a validation set or code. A teacher:
// the update of the open round it has committed to, at most 4 bytes a parameter. kInvalidArgument,
// kFailedPrecondition (phase, round), kPermissionDenied, kResourceExhausted (too large).
Status MayUpload(const ledger::State& state, uint64_t account, const v1::UploadHead& head);

// Is this blob named by a campaign, and by none as one of its secrets (validation set and gradients
// before the reveal)?
bool Exportable(const ledger::State& state, const Marks& marks, const base::Hash& digest);

}  // namespace crowdteach::server
