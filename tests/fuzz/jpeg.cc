// A JPEG picture from anybody.
#include <cstdint>
#include <string_view>

#include "learning/data/picture.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using crowdteach::learning::PictureShape;
  for (const PictureShape& shape : {PictureShape{1, 5, 7}, PictureShape{3, 5, 7}}) {
    const auto pixels =
        crowdteach::learning::DecodeJpeg({reinterpret_cast<const char*>(data), size}, "p", shape);
    CT_ASSERT(!pixels.ok() || pixels->size() == shape.values());
  }
  return 0;
}
