// model.toml from anyone: parsed or refused, and what is parsed keeps its limits.
#include <cstdint>
#include <string_view>

#include "learning/model/model_spec.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crowdteach::learning;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto spec = ParseModelSpec(text);
  if (!spec.ok()) return 0;
  const ModelLimits limits;
  CT_ASSERT(spec->parameters <= limits.parameters);
  CT_ASSERT(spec->activation_bytes <= limits.activation_bytes);
  CT_ASSERT(LayoutOf(*spec).total == spec->parameters);
  return 0;
}
