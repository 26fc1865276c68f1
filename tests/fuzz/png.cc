// A PNG picture from anybody; and once more with its chunks' sums made right, or almost nothing
// that a fuzzer changes would get past them.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "learning/data/picture.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace {

// A chunk is its length, a type of four bytes, as many bytes as the length says, a sum.
std::string WithRightSums(std::string picture) {
  for (size_t at = 8; at + 12 <= picture.size();) {
    const size_t length =
        std::min<size_t>(crowdteach::base::ReadU32(picture.data() + at), picture.size() - at - 12);
    std::string sum;
    crowdteach::base::AppendU32(
        sum, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(picture.data()) + at + 4,
                                         static_cast<uInt>(length + 4))));
    picture.replace(at + 8 + length, 4, sum);
    at += length + 12;
  }
  return picture;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using crowdteach::learning::PictureShape;
  const std::string given(reinterpret_cast<const char*>(data), size);
  for (const std::string& bytes : {given, WithRightSums(given)}) {
    for (const PictureShape& shape : {PictureShape{1, 5, 7}, PictureShape{3, 5, 7}}) {
      const auto pixels = crowdteach::learning::DecodePng(bytes, "p", shape);
      CT_ASSERT(!pixels.ok() || pixels->size() == shape.values());
    }
  }
  return 0;
}
