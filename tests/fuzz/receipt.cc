// Receipts: whatever is accepted prints to the same bytes; verification never crashes.
#include <cstdint>
#include <string>
#include <string_view>

#include "ledger/receipt.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crowdteach::ledger;
  static const SigningKey key = *SigningKey::FromSeed(std::string(32, 1));
  static const VerifierKey log = MakeVerifierKey(DefaultOrigin(key.public_key()), key.public_key());
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto parts = ParseReceipt(bytes);
  if (parts.ok()) CT_ASSERT(FormatReceipt(*parts) == bytes);
  if (VerifyReceipt(bytes, log).ok()) CT_ASSERT(parts.ok());
  return 0;
}
