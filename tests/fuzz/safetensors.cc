// A safetensors file from anyone: a header that is accepted describes exactly the file's bytes.
#include <cstdint>
#include <string_view>

#include "learning/model/safetensors.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crowdteach::learning;
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  const auto header = ParseSafetensorsHeader(file, size);
  if (!header.ok()) return 0;
  uint64_t bytes = header->data_offset;
  for (const StoredTensor& tensor : header->tensors) bytes += tensor.end_bytes - tensor.begin_bytes;
  CT_ASSERT(bytes == size);
  return 0;
}
