#include "learning/data/picture.h"

#include "learning/data/shape.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

constexpr uint64_t kMaxExtraBytes = uint64_t{16} << 20;  // profiles, thumbnails, camera notes

const char* ColourName(uint32_t channels) { return channels == 1 ? "grey" : "colour"; }

std::string BracketedShape(const PictureShape& shape) {
  return fmt::format("[{}, {}, {}]", shape.channels, shape.height, shape.width);
}

// R G B R G B … → R R … G G … B B …
std::string ChannelFirst(std::string pixels, const PictureShape& shape) {
  if (shape.channels == 1) return pixels;
  std::string planes(pixels.size(), '\0');
  const size_t area = size_t{shape.height} * shape.width;
  for (size_t i = 0; i < area; ++i) {
    for (size_t c = 0; c < shape.channels; ++c) {
      planes[c * area + i] = pixels[i * shape.channels + c];
    }
  }
  return planes;
}

}  // namespace

StatusOr<PictureShape> PictureShapeOf(const v1::DataTerms& terms) {
  if (terms.feature_type() != v1::U8) {
    return InvalidArgument(
        "pictures have whole values 0-255, but the campaign's feature-type is float32: ask the "
        "owner how values are scaled, and give them as .npy or .npz");
  }
  const int rank = terms.input_shape_size();
  const uint32_t channels = rank == 3 ? terms.input_shape(0) : 1;
  if (rank < 2 || rank > 3 || (channels != 1 && channels != 3)) {
    return InvalidArgument(
        "the campaign's input-shape {} is no picture's, which is [height, width], [1, height, "
        "width] or [3, height, width]: give the data in another format",
        BracketedShape(terms));
  }
  return PictureShape{channels, terms.input_shape(rank - 2), terms.input_shape(rank - 1)};
}

uint64_t MaxPictureBytes(const PictureShape& shape) { return 4 * shape.values() + kMaxExtraBytes; }

Status CheckPictureShape(const PictureShape& found, const std::string& name,
                         const PictureShape& wanted) {
  if (found == wanted) return OkStatus();
  std::string mend;
  if (found.height != wanted.height || found.width != wanted.width) {
    mend = fmt::format("scale it to {} x {} pixels", wanted.width, wanted.height);
  }
  if (found.channels != wanted.channels) {
    mend += fmt::format("{}save it as a {} picture", mend.empty() ? "" : " and ",
                        ColourName(wanted.channels));
  }
  return InvalidArgument(
      "{}: a {} picture of {} x {} pixels, {}, but the campaign's input-shape is {}: {}", name,
      ColourName(found.channels), found.width, found.height, BracketedShape(found),
      BracketedShape(wanted), mend);
}

StatusOr<std::string> DecodePicture(std::string_view bytes, const std::string& name,
                                    const PictureShape& wanted) {
  const bool png = bytes.substr(0, 4) == "\x89PNG";
  if (!png && bytes.substr(0, 3) != "\xff\xd8\xff") {
    return InvalidArgument("{}: neither a PNG nor a JPEG picture: it starts {}", name,
                           bytes.empty() ? "empty" : base::Hex(bytes.substr(0, 8)));
  }
  CT_ASSIGN_OR_RETURN(std::string pixels,
                      png ? DecodePng(bytes, name, wanted) : DecodeJpeg(bytes, name, wanted));
  CT_ASSERT(pixels.size() == wanted.values());
  return ChannelFirst(std::move(pixels), wanted);
}

}  // namespace crowdteach::learning
