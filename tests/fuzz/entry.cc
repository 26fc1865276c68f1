// Entries: whatever is accepted encodes to the same bytes; nothing crashes.
#include <cstdint>
#include <string_view>

#include "ledger/canonical.h"
#include "ledger/entry.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crowdteach::ledger;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto entry = DecodeEntry(bytes); entry.ok()) {
    CT_ASSERT(Encode(entry->entry) == bytes);
    CT_ASSERT(Encode(entry->intent) == entry->entry.intent().payload());
  }
  if (const auto intent = DecodeIntent(bytes); intent.ok()) CT_ASSERT(Encode(*intent) == bytes);
  return 0;
}
