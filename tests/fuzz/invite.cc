// An invite file from anyone: refused, or read so that writing it again says the same.
#include "proto/wire/invite.h"

#include <cstdint>
#include <string_view>

#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crowdteach::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto invite = ParseInvite(text, "input");
  if (!invite.ok()) return 0;
  CT_ASSERT(!invite->addresses.empty() && invite->addresses.size() <= kMaxAddresses);
  const auto again = ParseInvite(FormatInvite(*invite), "again");
  CT_ASSERT(again.ok());
  CT_ASSERT(again->index == invite->index && again->token_seed == invite->token_seed &&
            again->addresses == invite->addresses && again->ca_pem == invite->ca_pem &&
            again->log_vkey == invite->log_vkey && again->expires_ms == invite->expires_ms);
  return 0;
}
