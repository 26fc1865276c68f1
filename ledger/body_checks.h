// What a body must look like before any state is asked: lengths of digests, keys, signatures,
// texts and wide integers, sorted lists, and no UNSPECIFIED enum.
//
// Thread-safety: pure functions.
#pragma once

#include <string_view>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

inline constexpr int kMaxTeachersPerPart = 256;

// kInvalidArgument naming `field` unless `bytes` has exactly `size`.
Status CheckBytes(std::string_view field, std::string_view bytes, size_t size);

// kInvalidArgument naming the field.
Status CheckBody(const v1::Intent& intent);

}  // namespace crowdteach::ledger
