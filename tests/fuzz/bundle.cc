// Bundles: a verified one has exactly the entries its checkpoint counts; nothing crashes.
#include <cstdint>
#include <string>
#include <string_view>

#include "ledger/bundle.h"
#include "ledger/state.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crowdteach::ledger;
  static const SigningKey key = *SigningKey::FromSeed(std::string(32, 1));
  static const VerifierKey log = MakeVerifierKey(DefaultOrigin(key.public_key()), key.public_key());
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  State state;
  const auto verdict = VerifyBundle(StringSource(bytes), log,
                                    [&](const LoggedEntry& entry) { return state.Apply(entry); });
  CT_ASSERT(verdict.ok());
  if (verdict->fault) {
    CT_ASSERT(!verdict->fault->region.empty() && !verdict->fault->reason.empty());
  } else {
    CT_ASSERT(verdict->entries == verdict->checkpoint.size && verdict->entries == state.size());
  }
  return 0;
}
