#include <unistd.h>
#include <zlib.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "learning/data/readers.h"
#include "proto/base/bytes.h"
#include "proto/base/digest.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/data_terms.h"

namespace crowdteach::learning {
namespace {

constexpr const char* kFashion = "/usr/share/datasets/fashion-mnist";

std::string Idx(uint8_t type, const std::vector<uint32_t>& dimensions, const std::string& values) {
  std::string bytes{0, 0, static_cast<char>(type), static_cast<char>(dimensions.size())};
  for (const uint32_t dimension : dimensions) base::AppendU32(bytes, dimension);
  return bytes + values;
}

std::string Gzip(const std::string& bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(bytes.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

v1::DataTerms Terms() { return SmallTerms({1, 2, 2}, v1::U8, {"a", "b", "c"}); }
std::string Images() { return Idx(8, {2, 2, 2}, "abcdefgh"); }
std::string Labels() { return Idx(8, {2}, std::string("\2\0", 2)); }

std::string ErrorOf(const std::string& images, const std::string& labels,
                    const v1::DataTerms& terms = Terms()) {
  const auto file = ParseIdx(images, labels, terms);
  REQUIRE(file.status().code() == absl::StatusCode::kInvalidArgument);
  return Message(file.status());
}

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("crowdteach-idx-{}", getpid());
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return (path / name).string();
  }
};

}  // namespace

TEST_CASE("plain, gzip and gzip in members give the same examples") {
  const std::string cut_images = Gzip(Images().substr(0, 5)) + Gzip(Images().substr(5));
  for (const std::string& images : {Images(), Gzip(Images()), cut_images}) {
    const auto file = ParseIdx(images, Gzip(Labels()), Terms());
    REQUIRE(file.ok());
    REQUIRE(file->count() == 2);
    REQUIRE(file->label(0) == 2);
    REQUIRE(file->label(1) == 0);
    REQUIRE(file->features(1) == "efgh");
    REQUIRE(file->salt(0) == std::string(16, '\0'));
  }
  const auto limited = ParseIdx(Images(), Labels(), Terms(), {.limit = 1});
  REQUIRE(limited.ok());
  REQUIRE(limited->count() == 1);
}

TEST_CASE("an example's shape may differ by leading ones, or be flattened") {
  REQUIRE(ParseIdx(Images(), Labels(), SmallTerms({2, 2}, v1::U8, {"a", "b", "c"})).ok());
  REQUIRE(ParseIdx(Images(), Labels(), SmallTerms({4}, v1::U8, {"a", "b", "c"})).ok());
  REQUIRE(
      ErrorOf(Images(), Labels(), SmallTerms({1, 1, 4}, v1::U8, {"a", "b", "c"})) ==
      "images: byte 4: an example's shape is [2, 2], but the campaign's input-shape is [1, 1, 4]");
}

TEST_CASE("IDX errors name file and byte") {
  REQUIRE(ErrorOf("\x89PNG....", Labels()) ==
          "images: byte 0: not an IDX file: it starts 89504e47, must be 0000, type, rank 1-9");
  REQUIRE(ErrorOf("", Labels()) ==
          "images: it ends at byte 0, but 4 bytes from byte 0 on were to follow");
  REQUIRE(ErrorOf(Images().substr(0, 21), Labels()) ==
          "images: it ends at byte 21, but 4 bytes from byte 20 on were to follow");
  REQUIRE(ErrorOf(Images() + "x", Labels()) ==
          "images: it goes on after byte 24, where its header says it ends");
  REQUIRE(ErrorOf(Idx(9, {2, 2, 2}, "abcdefgh"), Labels()) ==
          "images: byte 2: values of type 0x09, but the campaign's feature-type is u8, type 0x08");
  REQUIRE(ErrorOf(Idx(8, {2, 0, 2}, ""), Labels()) ==
          "images: byte 8: dimension 1 is 0: no example in it");
  REQUIRE(ErrorOf(Images(), Images()) ==
          "labels: byte 2: type 0x08 and rank 3; labels are type 0x08 and rank 1");
  REQUIRE(ErrorOf(Images(), Idx(8, {3}, "\1\1\1")) ==
          "labels: byte 4: 3 labels, but images has 2 examples");
  REQUIRE(ErrorOf(Images(), Idx(8, {2}, "\1\3")) ==
          "labels: byte 9: label 3, but the campaign has 3 classes, 0 to 2");
}

TEST_CASE("gzip errors name the compressed byte, and nothing beyond the header is inflated") {
  const std::string whole = Gzip(Images());
  REQUIRE(ErrorOf(whole.substr(0, whole.size() - 3), Labels()) ==
          fmt::format("images: the gzip stream is cut at its byte {}", whole.size() - 3));
  std::string wrong_sum = whole;
  wrong_sum[whole.size() - 8] ^= 1;
  REQUIRE(ErrorOf(wrong_sum, Labels()).find("images: corrupt gzip data before its byte") == 0);
  REQUIRE(ErrorOf(whole + "junk", Labels()).find("images: corrupt gzip data before its byte") == 0);
  // 64 MiB of zeros behind a header that announces 8 values.
  REQUIRE(ErrorOf(Gzip(Images() + std::string(64 << 20, '\0')), Labels()) ==
          "images: it goes on after byte 24, where its header says it ends");
  // A header that announces 8 GiB, and nothing behind it.
  const uint32_t many = 0x7FFFFFFF;
  REQUIRE(ErrorOf(Idx(8, {many, 2, 2}, "abcd"), Idx(8, {many}, std::string(2, '\0'))) ==
          "images: it ends at byte 20, but 4 bytes from byte 20 on were to follow");
}

TEST_CASE("float32 IDX is big-endian and finite") {
  const v1::DataTerms terms = SmallTerms({2}, v1::FLOAT32, {"a", "b"});
  std::string values;
  for (const float value : {1.5f, -2.25f}) base::AppendU32(values, std::bit_cast<uint32_t>(value));
  const auto file = ParseIdx(Idx(0x0D, {1, 2}, values), Idx(8, {1}, "\1"), terms);
  REQUIRE(file.ok());
  float read[2];
  std::memcpy(read, file->features(0).data(), sizeof read);
  REQUIRE(read[0] == 1.5f);
  REQUIRE(read[1] == -2.25f);
  values.resize(4);
  base::AppendU32(values, std::bit_cast<uint32_t>(std::nanf("")));
  REQUIRE(ErrorOf(Idx(0x0D, {1, 2}, values), Idx(8, {1}, "\1"), terms) ==
          "images: byte 16: not a finite number");
}

TEST_CASE("a data set is named by folder, prefix or pair") {
  const Folder folder;
  const std::string dir = folder.path.string();
  const std::string images = folder.Write("train-images-idx3-ubyte.gz", Gzip(Images()));
  const std::string labels = folder.Write("train-labels-idx1-ubyte", Labels());
  folder.Write("t10k-images-idx3-ubyte", Images());
  REQUIRE(ReadDataset(dir, Terms()).ok());
  REQUIRE(ReadDataset(dir + ":train", Terms()).ok());
  REQUIRE(ReadDataset(images + "," + labels, Terms()).ok());
  REQUIRE(Message(ReadDataset(dir + ":t10k", Terms()).status()) ==
          dir + ": no t10k-labels-idx1-ubyte[.gz] in it; image files there: t10k, train");
  REQUIRE(Message(ReadDataset(dir + ":valid", Terms()).status()) ==
          dir + ": no valid-images-idx3-ubyte[.gz] in it; image files there: t10k, train");
  REQUIRE(Message(ReadDataset(images, Terms()).status()).find("one file must be a .csv") !=
          std::string::npos);
  REQUIRE(ReadDataset("/nowhere/at/all", Terms()).status().code() == absl::StatusCode::kNotFound);
  REQUIRE(ReadDataset("/nowhere/x.csv", Terms()).status().code() == absl::StatusCode::kNotFound);
  REQUIRE(ReadDataset(images + ",nowhere", Terms()).status().code() == absl::StatusCode::kNotFound);
  // A colon that is part of the name is not a prefix.
  std::filesystem::create_directory(folder.path / "a:b");
  folder.Write("a:b/train-images-idx3-ubyte", Images());
  folder.Write("a:b/train-labels-idx1-ubyte", Labels());
  REQUIRE(ReadDataset(dir + "/a:b", Terms()).ok());
}

TEST_CASE("Fashion-MNIST is read as published") {
  if (!std::filesystem::exists(kFashion)) {
    WARN("dataset-fashion-mnist is not installed");
    return;
  }
  const v1::DataTerms terms = SmallTerms({1, 28, 28}, v1::U8,
                                         {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                          "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"});
  const auto train = ReadDataset(kFashion, terms);
  REQUIRE(train.ok());
  REQUIRE(train->count() == 60000);
  std::vector<int> counts(10);
  double sum = 0;
  double squares = 0;
  for (uint64_t i = 0; i < train->count(); ++i) {
    ++counts[train->label(i)];
    for (const unsigned char pixel : train->features(i)) {
      sum += pixel / 255.0;
      squares += pixel / 255.0 * (pixel / 255.0);
    }
  }
  REQUIRE(counts == std::vector<int>(10, 6000));
  REQUIRE(train->label(0) == 9);  // an ankle boot
  const double mean = sum / (60000.0 * 784);
  REQUIRE(mean == Approx(0.2860).margin(0.0001));
  REQUIRE(std::sqrt(squares / (60000.0 * 784) - mean * mean) == Approx(0.3530).margin(0.0001));
  const auto test = ReadDataset(std::string(kFashion) + ":t10k", terms, {.limit = 1000});
  REQUIRE(test.ok());
  REQUIRE(test->count() == 1000);
}

}  // namespace crowdteach::learning
