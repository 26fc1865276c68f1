// The norm of an update and the factor that scales it down to the campaign's cap, in integers.
#pragma once

#include <cstdint>

#include "learning/aggregate/tile_executor.h"
#include "learning/aggregate/tile_source.h"
#include "proto/base/status.h"
#include "proto/base/wide.h"

namespace crowdteach::learning {

// Σ q², exact; below 2^93 for at most 2^31 values. Errors of TileSource::Read.
StatusOr<base::UInt128> NormSquared(const TileSource& values, TileExecutor& executor);

// ⌊√value⌋.
uint64_t IntegerSqrt(base::UInt128 value);

// The clip factor in units of 2^-32 for a norm cap C >= 1 (units of 2^-s): 0 (not clipped) if
// norm² <= C², else f = max(1, ⌊C·2^32 / (isqrt(norm²) + 1)⌋) < 2^32. Values are then
// q := sign(q)·⌊|q|·f / 2^32⌋, and their norm is below C.
// The 1 keeps "clipped to nothing" apart from "not clipped": ⌊|q|·1 / 2^32⌋ is 0 for every int32.
uint64_t ClipFactor(base::UInt128 norm_squared, uint64_t norm_cap);

}  // namespace crowdteach::learning
