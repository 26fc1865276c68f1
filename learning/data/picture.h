// Decodes one PNG or JPEG picture to the bytes of an example. What it takes is known before: a
// picture of another size or colour is refused by its header, before a pixel is decoded or memory
// taken for it, and text, profiles and other extras are skipped. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

struct PictureShape {
  uint32_t channels = 0;  // 1 grey, 3 red, green, blue
  uint32_t height = 0;
  uint32_t width = 0;
  bool operator==(const PictureShape&) const = default;
  uint64_t values() const { return uint64_t{channels} * height * width; }
};

// Of terms that take pictures: input_shape [H, W], [1, H, W] or [3, H, W] and feature_type u8.
// kInvalidArgument: other terms.
StatusOr<PictureShape> PictureShapeOf(const v1::DataTerms& terms);

// The longest file that a picture of this shape may have.
uint64_t MaxPictureBytes(const PictureShape& shape);

// Picture by its first bytes; the result is channel by channel, row by row. `name` stands in
// messages. kInvalidArgument: neither PNG nor JPEG, of another shape, cut or corrupt, or of a kind
// that has no exact bytes: 16 bits a channel, transparent pixels, CMYK.
StatusOr<std::string> DecodePicture(std::string_view bytes, const std::string& name,
                                    const PictureShape& wanted);

// Of DecodePicture: pixels with their channels side by side.
StatusOr<std::string> DecodePng(std::string_view bytes, const std::string& name,
                                const PictureShape& wanted);
StatusOr<std::string> DecodeJpeg(std::string_view bytes, const std::string& name,
                                 const PictureShape& wanted);
// OK if they are the same.
Status CheckPictureShape(const PictureShape& found, const std::string& name,
                         const PictureShape& wanted);

}  // namespace crowdteach::learning
