// Two .npy files from anybody: u16 big-endian length of the labels, labels, features.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "learning/data/readers.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using crowdteach::learning::ParseNpy;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t labels = std::min<size_t>(crowdteach::base::ReadU16(data), size - 2);
  for (const auto type : {crowdteach::v1::U8, crowdteach::v1::FLOAT32}) {
    crowdteach::v1::DataTerms terms;
    terms.add_input_shape(2);
    terms.set_feature_type(type);
    for (const char* name : {"a", "b", "c"}) terms.add_classes(name);
    const auto file =
        ParseNpy(bytes.substr(2 + labels), bytes.substr(2, labels), terms, {.limit = 100000});
    if (!file.ok()) continue;
    // No more than there is: a label and a value take a byte each at least.
    CT_ASSERT(file->count() >= 1 && file->count() <= size);
    for (uint64_t i = 0; i < file->count(); ++i) {
      CT_ASSERT(file->label(i) < 3);
      if (type != crowdteach::v1::FLOAT32) continue;
      float values[2];
      std::memcpy(values, file->features(i).data(), sizeof values);
      CT_ASSERT(std::isfinite(values[0]) && std::isfinite(values[1]));
    }
  }
  return 0;
}
