// Two IDX files from anybody: u16 big-endian length of the labels, labels, images; each may be
// gzip.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "learning/data/readers.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using crowdteach::learning::ParseIdx;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t labels = std::min<size_t>(crowdteach::base::ReadU16(data), size - 2);
  for (const auto type : {crowdteach::v1::U8, crowdteach::v1::FLOAT32}) {
    crowdteach::v1::DataTerms terms;
    terms.add_input_shape(2);
    terms.add_input_shape(2);
    terms.set_feature_type(type);
    for (const char* name : {"a", "b", "c"}) terms.add_classes(name);
    const auto file =
        ParseIdx(bytes.substr(2 + labels), bytes.substr(2, labels), terms, {.limit = 100000});
    if (!file.ok()) continue;
    // What is accepted is what the header announced.
    CT_ASSERT(file->count() >= 1 && file->count() <= 100000);
    for (uint64_t i = 0; i < file->count(); ++i) CT_ASSERT(file->label(i) < 3);
  }
  return 0;
}
