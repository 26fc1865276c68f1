// DecodePng, with libpng. Its errors jump (longjmp), so the functions it is called from own nothing
// that would have to be destroyed.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "learning/data/picture.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

constexpr size_t kSignatureBytes = 8;
constexpr size_t kHeaderEnd = kSignatureBytes + 8 + 13;  // of IHDR, which comes first

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string_view rest;
  char error[160] = {};

  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void OnError(png_structp png, png_const_charp text) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::snprintf(reader->error, sizeof reader->error, "%s", text);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}  // about chunks that are skipped

void Give(png_structp png, png_bytep out, size_t size) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (size > reader->rest.size()) png_error(png, "the file is cut short");
  std::memcpy(out, reader->rest.data(), size);
  reader->rest.remove_prefix(size);
}

bool ReadInfo(Reader* reader) {
  if (setjmp(png_jmpbuf(reader->png)) != 0) return false;
  png_set_read_fn(reader->png, reader, Give);
  // Profiles, texts and the like are not even inflated.
  png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(reader->png, reader->info);
  // One byte a channel: palettes become colours, fewer bits are scaled, transparency is a channel.
  png_set_expand(reader->png);
  png_set_interlace_handling(reader->png);
  png_read_update_info(reader->png, reader->info);
  return true;
}

bool ReadRows(Reader* reader, png_bytep* rows) {
  if (setjmp(png_jmpbuf(reader->png)) != 0) return false;
  png_read_image(reader->png, rows);
  png_read_end(reader->png, nullptr);
  return true;
}

// What the header says, before libpng sees it. The colour type's bits: 1 palette, 2 colour, 4
// alpha.
StatusOr<PictureShape> ReadHeader(std::string_view bytes, const std::string& name) {
  if (bytes.size() < kHeaderEnd ||
      png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, kSignatureBytes) != 0 ||
      bytes.substr(kSignatureBytes + 4, 4) != "IHDR") {
    return InvalidArgument("{}: not a PNG picture, or cut in its header", name);
  }
  const char* header = bytes.data() + kSignatureBytes + 8;
  const auto depth = static_cast<uint8_t>(header[8]);
  const auto colour = static_cast<uint8_t>(header[9]);
  if (depth == 16) {
    return InvalidArgument(
        "{}: a PNG picture of 16 bits a channel; save it with 8, as the campaign's feature-type "
        "u8 has",
        name);
  }
  return PictureShape{(colour & 2) != 0 ? 3u : 1u, base::ReadU32(header + 4),
                      base::ReadU32(header)};
}

// Leaves out the last channel of each pixel. False: one of them is transparent.
bool DropAlpha(std::string* pixels, size_t channels) {
  size_t end = 0;
  for (size_t i = 0; i < pixels->size(); i += channels + 1) {
    if ((*pixels)[i + channels] != '\xff') return false;
    for (size_t c = 0; c < channels; ++c) (*pixels)[end++] = (*pixels)[i + c];
  }
  pixels->resize(end);
  return true;
}

}  // namespace

StatusOr<std::string> DecodePng(std::string_view bytes, const std::string& name,
                                const PictureShape& wanted) {
  CT_ASSIGN_OR_RETURN(const PictureShape shape, ReadHeader(bytes, name));
  CT_RETURN_IF_ERROR(CheckPictureShape(shape, name, wanted));
  Reader reader;
  reader.rest = bytes;
  const auto corrupt = [&] {
    return InvalidArgument("{}: corrupt PNG data before its byte {}: {}", name,
                           bytes.size() - reader.rest.size(), reader.error);
  };
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, OnError, OnWarning);
  if (reader.png != nullptr) reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) return ResourceExhausted("{}: no memory to decode it", name);
  if (!ReadInfo(&reader)) return corrupt();

  const size_t channels = png_get_channels(reader.png, reader.info);
  const size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
  const bool alpha = channels == wanted.channels + 1;
  CT_ASSERT((alpha || channels == wanted.channels) && row_bytes == channels * wanted.width);
  std::string pixels(row_bytes * wanted.height, '\0');
  std::vector<png_bytep> rows(wanted.height);
  for (size_t y = 0; y < rows.size(); ++y) {
    rows[y] = reinterpret_cast<png_bytep>(pixels.data()) + y * row_bytes;
  }
  if (!ReadRows(&reader, rows.data())) return corrupt();
  if (alpha && !DropAlpha(&pixels, wanted.channels)) {
    return InvalidArgument("{}: a PNG picture with transparent pixels; save it without them", name);
  }
  return pixels;
}

}  // namespace crowdteach::learning
