// DecodeJpeg, with libjpeg. Its errors jump (longjmp), so the functions it is called from own
// nothing that would have to be destroyed.
#include <cstddef>
#include <cstdio>
// jpeglib.h needs the two above.
#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <vector>

#include "learning/data/picture.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

// A progressive picture may have thousands of scans, each as dear as a picture.
constexpr int kMaxScans = 200;

struct Reader {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf back{};
  char error[JMSG_LENGTH_MAX] = {};
};

[[noreturn]] void Fail(j_common_ptr jpeg) {
  auto* reader = static_cast<Reader*>(jpeg->client_data);
  jpeg->err->format_message(jpeg, reader->error);
  std::longjmp(reader->back, 1);
}

// libjpeg goes on after damage and fills the rest in; a data set must not.
void OnMessage(j_common_ptr jpeg, int level) {
  if (level >= 0) return;  // a trace
  const int code = jpeg->err->msg_code;
  if (code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR) Fail(jpeg);
}

void OnProgress(j_common_ptr jpeg) {
  auto* reader = static_cast<Reader*>(jpeg->client_data);
  if (reader->jpeg.input_scan_number <= kMaxScans) return;
  std::snprintf(reader->error, sizeof reader->error, "more than %d scans", kMaxScans);
  std::longjmp(reader->back, 1);
}

bool ReadHeader(Reader* reader, const unsigned char* bytes, size_t size) {
  if (setjmp(reader->back) != 0) return false;
  jpeg_create_decompress(&reader->jpeg);
  reader->jpeg.client_data = reader;
  reader->jpeg.progress = &reader->progress;
  jpeg_mem_src(&reader->jpeg, bytes, size);
  jpeg_read_header(&reader->jpeg, TRUE);
  return true;
}

bool ReadRows(Reader* reader, J_COLOR_SPACE colour, unsigned char* pixels, size_t row_bytes) {
  if (setjmp(reader->back) != 0) return false;
  reader->jpeg.out_color_space = colour;
  reader->jpeg.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&reader->jpeg);
  while (reader->jpeg.output_scanline < reader->jpeg.output_height) {
    JSAMPROW row = pixels + reader->jpeg.output_scanline * row_bytes;
    jpeg_read_scanlines(&reader->jpeg, &row, 1);
  }
  jpeg_finish_decompress(&reader->jpeg);
  return true;
}

StatusOr<PictureShape> ShapeOf(const jpeg_decompress_struct& jpeg, const std::string& name) {
  switch (jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE:
      return PictureShape{1, jpeg.image_height, jpeg.image_width};
    case JCS_RGB:
    case JCS_YCbCr:
      return PictureShape{3, jpeg.image_height, jpeg.image_width};
    default:
      return InvalidArgument(
          "{}: a JPEG picture of {} colour channels (CMYK, say); save it as grey or RGB", name,
          jpeg.num_components);
  }
}

}  // namespace

StatusOr<std::string> DecodeJpeg(std::string_view bytes, const std::string& name,
                                 const PictureShape& wanted) {
  Reader reader;
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  // jpeg_create_decompress keeps these two.
  reader.jpeg.client_data = &reader;
  reader.errors.error_exit = Fail;
  reader.errors.emit_message = OnMessage;
  reader.progress.progress_monitor = OnProgress;
  struct Destroy {
    jpeg_decompress_struct* jpeg;
    ~Destroy() { jpeg_destroy_decompress(jpeg); }
  } destroy{&reader.jpeg};

  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto corrupt = [&] {
    return InvalidArgument("{}: corrupt JPEG data: {}", name, reader.error);
  };
  if (!ReadHeader(&reader, data, bytes.size())) return corrupt();
  CT_ASSIGN_OR_RETURN(const PictureShape shape, ShapeOf(reader.jpeg, name));
  CT_RETURN_IF_ERROR(CheckPictureShape(shape, name, wanted));
  std::string pixels(wanted.values(), '\0');
  if (!ReadRows(&reader, wanted.channels == 1 ? JCS_GRAYSCALE : JCS_RGB,
                reinterpret_cast<unsigned char*>(pixels.data()),
                size_t{wanted.width} * wanted.channels)) {
    return corrupt();
  }
  return pixels;
}

}  // namespace crowdteach::learning
