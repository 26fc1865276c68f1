#include <unistd.h>

#include <cstdio>
#include <cstdlib>
// jpeglib.h needs the two above.
#include <jpeglib.h>

#include <filesystem>
#include <fstream>

#include "learning/data/picture.h"
#include "learning/data/readers.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/data_terms.h"
#include "tests/unit/learning/foreign_files.h"

namespace crowdteach::learning {
namespace {

constexpr PictureShape kGrey{1, 2, 3};
constexpr PictureShape kColour{3, 2, 3};

// 3 × 2 pixels, as rows with filter bytes.
const std::string kGreyRows("\0abc\0def", 8);
const std::string kColourRows("\0abcdefghi\0jklmnopqr", 20);

std::string Decoded(const std::string& bytes, const PictureShape& shape) {
  const auto pixels = DecodePicture(bytes, "p", shape);
  CAPTURE(Message(pixels.status()));
  REQUIRE(pixels.ok());
  return *pixels;
}

std::string ErrorOf(const std::string& bytes, const PictureShape& shape = kGrey) {
  const auto pixels = DecodePicture(bytes, "p", shape);
  REQUIRE(pixels.status().code() == absl::StatusCode::kInvalidArgument);
  return Message(pixels.status());
}

struct JpegOptions {
  J_COLOR_SPACE colour = JCS_GRAYSCALE;
  int channels = 1;
  bool progressive = false;
};

std::string Jpeg(uint32_t width, uint32_t height, const std::string& pixels,
                 const JpegOptions& options = {}) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &out, &size);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.input_components = options.channels;
  jpeg.in_color_space = options.colour;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  if (options.progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < height) {
    auto* row = reinterpret_cast<JSAMPROW>(const_cast<char*>(pixels.data())) +
                size_t{jpeg.next_scanline} * width * static_cast<size_t>(options.channels);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string bytes(reinterpret_cast<char*>(out), size);
  std::free(out);
  return bytes;
}

bool Near(const std::string& a, const std::string& b, int most) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::abs(static_cast<uint8_t>(a[i]) - static_cast<uint8_t>(b[i])) > most) return false;
  }
  return true;
}

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("crowdteach-pictures-{}", getpid());
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  void Write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << bytes;
  }
};

v1::DataTerms Terms() { return SmallTerms({1, 2, 3}, v1::U8, {"cat", "dog", "T-shirt/top"}); }

std::string PngOf(char c) {
  return Png(3, 2, 8, 0,
             std::string("\0", 1) + std::string(3, c) + std::string("\0", 1) + std::string(3, c));
}

}  // namespace

TEST_CASE("PNG of every colour type becomes bytes, channel by channel") {
  REQUIRE(Decoded(Png(3, 2, 8, 0, kGreyRows), kGrey) == "abcdef");
  REQUIRE(Decoded(Png(3, 2, 8, 2, kColourRows), kColour) == "adgjmpbehknqcfilor");
  // One bit: 101 and 010; four bits: 0 15 1, 2 3 4.
  REQUIRE(Decoded(Png(3, 2, 1, 0, std::string("\0\xA0\0\x40", 4)), kGrey) ==
          std::string("\xff\0\xff\0\xff\0", 6));
  REQUIRE(Decoded(Png(3, 2, 4, 0, std::string("\0\x0F\x10\0\x23\x40", 6)), kGrey) ==
          std::string("\x00\xff\x11\x22\x33\x44", 6));
  const std::string palette = PngChunk("PLTE", "abcxyz");
  REQUIRE(Decoded(Png(3, 2, 8, 3, std::string("\0\0\1\0\0\1\1\1", 8), palette), kColour) ==
          "axaxxxbybyyyczczzz");
  // Opaque alpha is left out, also as tRNS.
  REQUIRE(Decoded(Png(3, 2, 8, 4,
                      std::string("\0a\xff"
                                  "b\xff"
                                  "c\xff\0d\xff"
                                  "e\xff"
                                  "f\xff",
                                  14)),
                  kGrey) == "abcdef");
  REQUIRE(Decoded(Png(3, 2, 8, 0, kGreyRows, PngChunk("tRNS", std::string("\0z", 2))), kGrey) ==
          "abcdef");
  REQUIRE(ErrorOf(Png(3, 2, 8, 0, kGreyRows, PngChunk("tRNS", std::string("\0a", 2)))) ==
          "p: a PNG picture with transparent pixels; save it without them");
}

TEST_CASE("a picture of another size or colour names both shapes") {
  REQUIRE(ErrorOf(Png(3, 2, 8, 2, kColourRows)) ==
          "p: a colour picture of 3 x 2 pixels, [3, 2, 3], but the campaign's input-shape is "
          "[1, 2, 3]: save it as a grey picture");
  REQUIRE(ErrorOf(Png(2, 2, 8, 0, kGreyRows)).find("scale it to 3 x 2 pixels") !=
          std::string::npos);
  REQUIRE(ErrorOf(Png(2, 2, 8, 0, kGreyRows), kColour)
              .find("scale it to 3 x 2 pixels and save it as a colour picture") !=
          std::string::npos);
  REQUIRE(ErrorOf(Png(3, 2, 16, 0, kGreyRows)).find("16 bits a channel") != std::string::npos);
  REQUIRE(ErrorOf(Jpeg(2, 2, "abcd")).find("a grey picture of 2 x 2 pixels") != std::string::npos);
  REQUIRE(ErrorOf(Jpeg(3, 2, std::string(24, 'a'), {JCS_CMYK, 4})).find("CMYK") !=
          std::string::npos);
  REQUIRE(ErrorOf("GIF89a") == "p: neither a PNG nor a JPEG picture: it starts 474946383961");
  REQUIRE(ErrorOf("") == "p: neither a PNG nor a JPEG picture: it starts empty");
}

TEST_CASE("JPEG in grey and colour, sequential and progressive") {
  for (const bool progressive : {false, true}) {
    REQUIRE(
        Near(Decoded(Jpeg(3, 2, "abcdef", {JCS_GRAYSCALE, 1, progressive}), kGrey), "abcdef", 2));
    const std::string flat = "abcabcabcabcabcabc";
    REQUIRE(Near(Decoded(Jpeg(3, 2, flat, {JCS_RGB, 3, progressive}), kColour),
                 "aaaaaabbbbbbcccccc", 3));
  }
}

TEST_CASE("every cut picture is an error") {
  for (const std::string& whole : {Png(3, 2, 8, 0, kGreyRows), Jpeg(3, 2, "abcdef"),
                                   Jpeg(3, 2, "abcdef", {JCS_GRAYSCALE, 1, true})}) {
    for (size_t cut = 0; cut < whole.size(); ++cut) {
      CAPTURE(cut, whole.size());
      REQUIRE_FALSE(DecodePicture(whole.substr(0, cut), "p", kGrey).ok());
    }
  }
  std::string wrong_sum = Png(3, 2, 8, 0, kGreyRows);
  wrong_sum[wrong_sum.size() - 13] ^= 1;  // of IDAT
  REQUIRE(ErrorOf(wrong_sum).find("p: corrupt PNG data before its byte") == 0);
}

TEST_CASE("bombs are refused by their headers, extras are skipped") {
  // 4 GiB of pixels announced, and 32 MiB of text inflated from 32 KiB.
  REQUIRE(ErrorOf(Png(65535, 65535, 8, 0, "")).find("65535 x 65535") != std::string::npos);
  const std::string text = Deflated(std::string(32 << 20, 'x'), 15);
  const std::string extras = PngChunk("zTXt", std::string("k\0\0", 3) + text) +
                             PngChunk("iCCP", std::string("k\0\0", 3) + text) +
                             PngChunk("iTXt", std::string("k\0\1\0\0\0", 6) + text);
  REQUIRE(Decoded(Png(3, 2, 8, 0, kGreyRows, extras), kGrey) == "abcdef");
  // More pixels than the header announces are not looked at.
  REQUIRE(Decoded(Png(3, 2, 8, 0, kGreyRows + std::string(32 << 20, '\0')), kGrey) == "abcdef");

  // A progressive picture that repeats one scan a thousand times.
  const std::string whole = Jpeg(3, 2, "abcdef", {JCS_GRAYSCALE, 1, true});
  const size_t first = whole.find("\xff\xda"), second = whole.find("\xff\xda", first + 1);
  REQUIRE(second != std::string::npos);
  const size_t third = whole.find("\xff\xda", second + 1);
  std::string bomb = whole.substr(0, second);
  for (int i = 0; i < 1000; ++i) bomb += whole.substr(second, third - second);
  bomb += whole.substr(third);
  REQUIRE(ErrorOf(bomb).find("p: corrupt JPEG data: ") == 0);
}

TEST_CASE("which terms take pictures") {
  const auto of = [](std::vector<uint32_t> shape, v1::FeatureType type) {
    return PictureShapeOf(SmallTerms(std::move(shape), type, {"a", "b"}));
  };
  REQUIRE(of({28, 20}, v1::U8).value() == PictureShape{1, 28, 20});
  REQUIRE(of({1, 28, 20}, v1::U8).value() == PictureShape{1, 28, 20});
  REQUIRE(of({3, 28, 20}, v1::U8).value() == PictureShape{3, 28, 20});
  REQUIRE_FALSE(of({30}, v1::U8).ok());
  REQUIRE_FALSE(of({4, 28, 20}, v1::U8).ok());
  REQUIRE_FALSE(of({1, 28, 20}, v1::FLOAT32).ok());
}

TEST_CASE("a folder of pictures by class, one of each in turn") {
  const Folder folder;
  const std::string root = folder.path.string();
  folder.Write("dog/2.png", PngOf('2'));
  folder.Write("dog/10.PNG", PngOf('1'));
  folder.Write("cat/a.png", PngOf('a'));
  folder.Write("T-shirt_top/x.jpg", Jpeg(3, 2, "xxxxxx"));
  folder.Write("T-shirt_top/.hidden", "not a picture");
  folder.Write("LICENCE", "free");
  const auto file = ReadDataset(root, Terms());
  CAPTURE(Message(file.status()));
  REQUIRE(file.ok());
  REQUIRE(file->count() == 4);
  std::string labels, values;
  for (uint64_t i = 0; i < file->count(); ++i) {
    labels += static_cast<char>('0' + file->label(i));
    values += file->features(i)[0];
  }
  REQUIRE(labels == "2011");
  REQUIRE(values == "xa12");
  REQUIRE(ReadDataset(root, Terms(), {.limit = 3})->count() == 3);

  const auto error = [&] { return Message(ReadDataset(root, Terms()).status()); };
  folder.Write("bird/b.png", PngOf('b'));
  REQUIRE(error() == root +
                         "/bird: the folder is none of the campaign's classes: \"T-shirt_top\", "
                         "\"cat\", \"dog\"");
  std::filesystem::remove_all(folder.path / "bird");
  folder.Write("dog/notes.txt", "");
  REQUIRE(error().find(root + "/dog/notes.txt: not a .png, .jpg or .jpeg file") == 0);
  std::filesystem::remove(folder.path / "dog/notes.txt");
  folder.Write("stray.png", PngOf('s'));
  REQUIRE(error().find(root + "/stray.png: a picture outside the folders") == 0);
  std::filesystem::remove(folder.path / "stray.png");
  folder.Write("dog/3.png", Png(2, 2, 8, 0, kGreyRows));
  REQUIRE(error().find(root + "/dog/3.png: a grey picture of 2 x 2 pixels") == 0);
  folder.Write("train-images-idx3-ubyte", "");
  REQUIRE(error().find("both IDX files and folders are in it; say " + root + ":train") !=
          std::string::npos);
}

TEST_CASE("folders that hold no picture, and classes that share a folder") {
  const Folder folder;
  const std::string root = folder.path.string();
  std::filesystem::create_directories(folder.path / "cat");
  REQUIRE(Message(ReadDataset(root, Terms()).status()) ==
          root + ": no picture in the folders of the classes");
  REQUIRE(Message(ReadDataset(root, SmallTerms({2, 3}, v1::U8, {"a/b", "a_b"})).status())
              .find("would both be called \"a_b\"") != std::string::npos);
  REQUIRE(Message(ReadDataset(root, SmallTerms({30}, v1::FLOAT32, {"a", "b"})).status())
              .find(root + ": pictures have whole values") == 0);
}

}  // namespace crowdteach::learning
