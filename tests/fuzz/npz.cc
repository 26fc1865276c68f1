// A .npz archive from anybody.
#include <cstdint>
#include <string_view>

#include "learning/data/readers.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  crowdteach::v1::DataTerms terms;
  terms.add_input_shape(2);
  terms.set_feature_type(crowdteach::v1::U8);
  for (const char* name : {"a", "b", "c"}) terms.add_classes(name);
  for (const char* part : {"", "test"}) {
    const auto file = crowdteach::learning::ParseNpz({reinterpret_cast<const char*>(data), size},
                                                     part, terms, {.limit = 10000});
    if (!file.ok()) continue;
    CT_ASSERT(file->count() >= 1 && file->count() <= 10000);
    for (uint64_t i = 0; i < file->count(); ++i) CT_ASSERT(file->label(i) < 3);
  }
  return 0;
}
