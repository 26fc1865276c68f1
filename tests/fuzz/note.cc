// Notes, checkpoints and verifier keys: whatever is accepted prints to the same bytes.
#include <cstdint>
#include <string_view>

#include "ledger/checkpoint.h"
#include "ledger/note.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crowdteach::ledger;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto note = ParseNote(bytes); note.ok()) {
    CT_ASSERT(FormatNote(*note) == bytes);
    const auto checkpoint = ParseCheckpointText(note->text);
    if (checkpoint.ok()) CT_ASSERT(CheckpointText(*checkpoint) == note->text);
  }
  if (const auto key = ParseVkey(bytes); key.ok()) CT_ASSERT(FormatVkey(*key) == bytes);
  return 0;
}
