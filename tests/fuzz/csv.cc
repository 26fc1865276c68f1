// A CSV table from anybody.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "learning/data/readers.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  crowdteach::v1::DataTerms terms;
  terms.add_input_shape(2);
  terms.set_feature_type(size % 2 == 0 ? crowdteach::v1::FLOAT32 : crowdteach::v1::U8);
  for (const char* name : {"a", "b", ""}) terms.add_classes(name);
  terms.set_csv_label_column("l");
  if (size % 3 == 0) {
    terms.add_csv_feature_columns("x");
    terms.add_csv_feature_columns("y");
  }
  const auto file = crowdteach::learning::ParseCsv({reinterpret_cast<const char*>(data), size}, "t",
                                                   terms, {.limit = 100000});
  if (!file.ok() || file->format().value_bytes != 4) return 0;
  for (uint64_t i = 0; i < file->count(); ++i) {
    float values[2];
    std::memcpy(values, file->features(i).data(), sizeof values);
    CT_ASSERT(std::isfinite(values[0]) && std::isfinite(values[1]) && file->label(i) < 3);
  }
  return 0;
}
