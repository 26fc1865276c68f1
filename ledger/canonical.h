// Canonical protobuf: the one encoding of a message that may be hashed or signed.
//
// A message's canonical bytes have ascending fields, each at most once, minimal varints, defaults
// absent, packed scalars, no unknown field, no unknown enum value, and a depth of at most 8.
// Decode accepts nothing else. Thread-safety: pure functions.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::ledger {

inline constexpr size_t kMaxEntryBytes = 65535;
inline constexpr int kMaxDepth = 8;

std::string Encode(const google::protobuf::Message& message);

// kInvalidArgument, saying how `bytes` differ from the canonical encoding; `*message` is then
// unspecified.
Status Decode(std::string_view bytes, google::protobuf::Message* message);

template <typename M>
StatusOr<M> Decode(std::string_view bytes) {
  M message;
  CT_RETURN_IF_ERROR(Decode(bytes, &message));
  return message;
}

}  // namespace crowdteach::ledger
