#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "learning/data/readers.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/data_terms.h"
#include "tests/unit/learning/foreign_files.h"

namespace crowdteach::learning {
namespace {

v1::DataTerms Bytes() { return SmallTerms({1, 2, 2}, v1::U8, {"a", "b", "c"}); }
v1::DataTerms Singles() { return SmallTerms({2}, v1::FLOAT32, {"a", "b", "c"}); }

std::string Images() { return Npy("|u1", "2, 2, 2", "abcdefgh"); }
std::string Labels() { return Npy("<i8", "2,", Values<int64_t>({2, 0})); }

std::string ErrorOf(const std::string& features, const std::string& labels,
                    const v1::DataTerms& terms = Bytes()) {
  const auto file = ParseNpy(features, labels, terms);
  REQUIRE(file.status().code() == absl::StatusCode::kInvalidArgument);
  return Message(file.status());
}

std::string NpzErrorOf(const std::string& bytes, const std::string& part = "") {
  const auto file = ParseNpz(bytes, part, Bytes());
  REQUIRE(file.status().code() == absl::StatusCode::kInvalidArgument);
  return Message(file.status());
}

float Feature(const ExamplesFile& file, uint64_t example, size_t i) {
  float value = 0;
  std::memcpy(&value, file.features(example).data() + i * sizeof value, sizeof value);
  return value;
}

}  // namespace

TEST_CASE("arrays of every version, and labels of every shape and type") {
  for (const int version : {1, 2, 3}) {
    const std::string images = Npy("|u1", "2, 2, 2", "abcdefgh", version);
    for (const std::string& labels :
         {Labels(), Npy(">i4", "2, 1", std::string("\0\0\0\2\0\0\0\0", 8)),
          Npy("|u1", "2,", std::string("\2\0", 2)), Npy("u2", "2", Values<uint16_t>({2, 0}))}) {
      const auto file = ParseNpy(images, labels, Bytes());
      REQUIRE(file.ok());
      REQUIRE(file->count() == 2);
      REQUIRE(file->label(0) == 2);
      REQUIRE(file->label(1) == 0);
      REQUIRE(file->features(1) == "efgh");
    }
  }
  REQUIRE(ParseNpy(Npy("|u1", "2, 2, 2, 1", "abcdefgh"), Labels(), Bytes()).ok());
  REQUIRE(
      ParseNpy(Npy("|u1", "2, 4", "abcdefgh"), Labels(), SmallTerms({4}, v1::U8, {"a", "b", "c"}))
          .ok());
  const auto limited = ParseNpy(Images(), Labels(), Bytes(), {.limit = 1});
  REQUIRE(limited.ok());
  REQUIRE(limited->count() == 1);
}

TEST_CASE("numbers of every type become bytes, or are refused with their index") {
  const std::string label = Npy("|b1", "1,", "\1");
  const auto read = [&](const std::string& type, const std::string& values) {
    const auto file = ParseNpy(Npy(type, "1, 2, 2", values), label, Bytes());
    REQUIRE(file.ok());
    return std::string(file->features(0));
  };
  const std::string expected("\0\1\x7f\0", 4);
  REQUIRE(read("|u1", expected) == expected);
  REQUIRE(read("|i1", expected) == expected);
  REQUIRE(read("<u2", Values<uint16_t>({0, 1, 127, 0})) == expected);
  REQUIRE(read(">u2", std::string("\0\0\0\1\0\x7f\0\0", 8)) == expected);
  REQUIRE(read("<i4", Values<int32_t>({0, 1, 127, 0})) == expected);
  REQUIRE(read("<u8", Values<uint64_t>({0, 1, 127, 0})) == expected);
  REQUIRE(read("<f2", Values<uint16_t>({0, 0x3C00, 0x57F0, 0x8000})) == expected);
  REQUIRE(read("<f4", Values<float>({0, 1, 127, -0.0f})) == expected);
  REQUIRE(read("<f8", Values<double>({0, 1, 127, 0})) == expected);
  REQUIRE(read("|b1", std::string("\0\1\0\1", 4)) == std::string("\0\1\0\1", 4));

  const auto error = [&](const std::string& type, const std::string& values) {
    return ErrorOf(Npy(type, "1, 2, 2", values), label);
  };
  REQUIRE(error("<i2", Values<int16_t>({0, 1, 256, 0})) ==
          "features: [0, 1, 0]: 256 is outside 0-255 (feature-type is u8)");
  REQUIRE(error("|i1", Values<int8_t>({0, 1, 2, -1})) ==
          "features: [0, 1, 1]: -1 is outside 0-255 (feature-type is u8)");
  REQUIRE(error("<f8", Values<double>({0, 0.5, 2, 3})) ==
          "features: [0, 0, 1]: 0.5 is not a whole number (feature-type is u8)");
  REQUIRE(error("<f4", Values<float>({std::nanf(""), 1, 2, 3})) ==
          "features: [0, 0, 0]: nan is outside 0-255 (feature-type is u8)");
}

TEST_CASE("numbers become float32: integers exactly, reals rounded once, all finite") {
  const std::string label = Npy("|u1", "1,", "\1");
  const auto file = ParseNpy(Npy("<f8", "1, 2", Values<double>({0.1, -1e30})), label, Singles());
  REQUIRE(file.ok());
  REQUIRE(Feature(*file, 0, 0) == 0.1f);
  REQUIRE(Feature(*file, 0, 1) == -1e30f);
  const auto big = ParseNpy(Npy("<i8", "1, 2", Values<int64_t>({-(int64_t{1} << 62), 16777216})),
                            label, Singles());
  REQUIRE(big.ok());
  REQUIRE(Feature(*big, 0, 0) == -std::ldexp(1.0f, 62));
  const auto half =
      ParseNpy(Npy("<f2", "1, 2", Values<uint16_t>({0x0001, 0xFBFF})), label, Singles());
  REQUIRE(half.ok());
  REQUIRE(Feature(*half, 0, 0) == std::ldexp(1.0f, -24));
  REQUIRE(Feature(*half, 0, 1) == -65504.0f);

  const auto error = [&](const std::string& type, const std::string& values) {
    return ErrorOf(Npy(type, "1, 2", values), label, Singles());
  };
  REQUIRE(error("<i8", Values<int64_t>({1, 16777217})).find("[0, 1]: 16777217 is not exact") !=
          std::string::npos);
  REQUIRE(error("<u8", Values<uint64_t>({std::numeric_limits<uint64_t>::max(), 1}))
              .find("[0, 0]: 18446744073709551615 is not exact") != std::string::npos);
  REQUIRE(error("<f8", Values<double>({1, 1e39})) ==
          "features: [0, 1]: 1e+39 is not a finite number (float32)");
  REQUIRE(error("<f4", Values<float>({1, std::nanf("")})) ==
          "features: [0, 1]: nan is not a finite number (float32)");
  REQUIRE(error("<f2", Values<uint16_t>({0x7C00, 0})) ==
          "features: [0, 0]: inf is not a finite number (float32)");
}

TEST_CASE("only numbers are read, and the message says how to save them") {
  const auto type_error = [](const std::string& type) {
    return ErrorOf(Npy(type, "2, 2, 2", "abcdefgh"), Labels());
  };
  REQUIRE(type_error("|O").find("Python objects (pickle), which are never read") !=
          std::string::npos);
  REQUIRE(type_error("<U4").find("features: text: its type is \"<U4\"") != std::string::npos);
  for (const char* type : {"<c8", "<f16", "<M8[ns]", "|V4", "<u3", ""}) {
    REQUIRE(type_error(type).find("values of another type") != std::string::npos);
  }
  REQUIRE(ErrorOf(NpyText("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", ""),
                  Labels())
              .find("a table of records") != std::string::npos);
  const std::string fortran =
      NpyText("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 2), }", "abcdefgh");
  REQUIRE(ErrorOf(fortran, Labels()).find("numpy.ascontiguousarray(array)") != std::string::npos);
  REQUIRE(ErrorOf(Images(), Npy("<f8", "2,", Values<double>({0, 1}))).find("astype('int64')") !=
          std::string::npos);
  REQUIRE(ErrorOf(Images(), Npy("|u1", "2, 3", "abcdef")).find("labels.argmax(axis=1)") !=
          std::string::npos);
  REQUIRE(ErrorOf(Npy("|u1", "2, 4, 4, 3", std::string(96, 'x')), Labels(),
                  SmallTerms({3, 4, 4}, v1::U8, {"a", "b", "c"}))
              .find("array.transpose(0, 3, 1, 2)") != std::string::npos);
}

TEST_CASE("labels and shapes that do not fit are named") {
  REQUIRE(ErrorOf(Images(), Npy("<i8", "2,", Values<int64_t>({1, 3}))) ==
          "labels: [1]: label 3, but the campaign has 3 classes, 0 to 2");
  REQUIRE(ErrorOf(Images(), Npy("|i1", "2, 1", Values<int8_t>({1, -1}))) ==
          "labels: [1, 0]: label -1, but the campaign has 3 classes, 0 to 2");
  REQUIRE(ErrorOf(Images(), Npy("|u1", "3,", "abc")) ==
          "labels: 3 labels, but features has 2 examples");
  REQUIRE(ErrorOf(Npy("|u1", "2, 3, 2", "abcdefghijkl"), Labels()) ==
          "features: an example's shape is [3, 2], but the campaign's input-shape is [1, 2, 2]; "
          "reshape the array before it is saved");
  REQUIRE(ErrorOf(Npy("|u1", "0, 2, 2", ""), Labels()).find("no example in it") !=
          std::string::npos);
  REQUIRE(ErrorOf(Npy("|u1", "", "a"), Labels()).find("shape []: no example in it") !=
          std::string::npos);
}

TEST_CASE("damaged and lying .npy files") {
  REQUIRE(ErrorOf("\x89PNG....", Labels()).find("features: not a .npy file: it starts 89504e47") ==
          0);
  REQUIRE(ErrorOf("", Labels()).find("not a .npy file") != std::string::npos);
  REQUIRE(ErrorOf(std::string("\x93NUMPY\4\0\2\0{}", 12), Labels()).find("version 4.0") !=
          std::string::npos);
  REQUIRE(ErrorOf(std::string("\x93NUMPY\2\0\xff\xff\xff\xff{}", 14), Labels()) ==
          "features: a .npy header of 4294967295 bytes; at most 65536");
  REQUIRE(ErrorOf(Images().substr(0, 40), Labels()).find("it ends at byte 40") !=
          std::string::npos);
  REQUIRE(ErrorOf(Images().substr(0, Images().size() - 1), Labels()).find("it ends at byte") !=
          std::string::npos);
  REQUIRE(ErrorOf(Images() + "x", Labels()).find("it goes on after byte") != std::string::npos);
  for (const char* dictionary :
       {"", "{", "{}", "{'descr': '|u1'}", "{'descr': '|u1', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)} junk",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,",
        "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (2,)}"}) {
    CAPTURE(dictionary);
    REQUIRE(ErrorOf(NpyText(dictionary, "abcdefgh"), Labels()).find("features: ") == 0);
  }
}

TEST_CASE("an array that announces more than there is memory for takes none") {
  const std::string many = Npy("|u1", "1125899906842624, 2, 2", "abcd");
  const auto file = ParseNpy(many, Npy("|u1", "1125899906842624,", "a"), Bytes());
  REQUIRE(file.status().code() == absl::StatusCode::kResourceExhausted);
  REQUIRE(Message(file.status()).find("1125899906842624 examples of 24 bytes are more than") !=
          std::string::npos);
  // A product beyond 64 bits.
  REQUIRE(ErrorOf(Npy("|u1", "2, 9223372036854775808, 4", ""), Labels()).find("shape is") !=
          std::string::npos);
}

TEST_CASE("an archive's arrays are found by the usual names") {
  const auto count = [](const std::string& bytes, const std::string& part) {
    const auto file = ParseNpz(bytes, part, Bytes());
    CAPTURE(Message(file.status()));
    REQUIRE(file.ok());
    return file->count();
  };
  const std::string one = Npy("|u1", "1, 2, 2", "abcd"), one_label = Npy("|u1", "1,", "\1");
  for (const bool deflated : {false, true}) {
    REQUIRE(count(Zip({{"x.npy", Images(), deflated}, {"y.npy", Labels(), deflated}}), "") == 2);
  }
  const std::string keras = Zip({{"x_test.npy", one},
                                 {"x_train.npy", Images()},
                                 {"y_train.npy", Labels()},
                                 {"y_test.npy", one_label}});
  REQUIRE(count(keras, "") == 2);
  REQUIRE(count(keras, "train") == 2);
  REQUIRE(count(keras, "test") == 1);
  const std::string medmnist = Zip({{"train_images.npy", Images()},
                                    {"train_labels.npy", Labels()},
                                    {"val_images.npy", one},
                                    {"val_labels.npy", one_label}});
  REQUIRE(count(medmnist, "") == 2);
  REQUIRE(count(medmnist, "val") == 1);
  REQUIRE(NpzErrorOf(keras, "val") ==
          "npz: the arrays must be called x_val and y_val, or val_images and val_labels; in it: "
          "\"x_test.npy\", \"x_train.npy\", \"y_train.npy\", \"y_test.npy\"");
  REQUIRE(NpzErrorOf(Zip({{"x.npy", Images()}})) == "npz: no array \"y\" in it, only \"x.npy\"");
}

TEST_CASE("zip bombs and damaged archives") {
  // 64 MiB of zeros behind a header that announces 8 values.
  REQUIRE(NpzErrorOf(Zip({{"x.npy", Images() + std::string(64 << 20, '\0')}, {"y.npy", Labels()}}))
              .find("npz: x: it goes on after byte") == 0);
  REQUIRE(NpzErrorOf("not a zip").find("npz: not a .npz (zip) archive") == 0);
  REQUIRE(NpzErrorOf("").find("in it: nothing") != std::string::npos);
  const std::string whole = Zip({{"x.npy", Images()}, {"y.npy", Labels()}});
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    REQUIRE_FALSE(ParseNpz(whole.substr(0, cut), "", Bytes()).ok());
  }
  REQUIRE(NpzErrorOf(Zip({{"x.npy", Images(), true, 8, 1}, {"y.npy", Labels()}}))
              .find("npz: x: corrupt zip data") == 0);
  REQUIRE(NpzErrorOf(Zip({{"x.npy", Images(), true, 14}, {"y.npy", Labels()}}))
              .find("encrypted or compressed in a way that NumPy does not use") !=
          std::string::npos);
  REQUIRE(NpzErrorOf(Zip({{"x.npy", "\x1f\x8b", false}, {"y.npy", Labels()}}))
              .find("not a .npy file: it starts 1f8b") != std::string::npos);
}

TEST_CASE("arrays are named by pair, by archive and by part") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("crowdteach-npy-{}", getpid());
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return (folder / name).string();
  };
  const std::string x = write("x.npy", Images()), y = write("y.npy", Labels());
  const std::string zipped = write("x.npy.gz", Deflated(Images(), 15 + 16));
  const std::string npz = write("d.npz", Zip({{"x_test.npy", Images()}, {"y_test.npy", Labels()}}));
  REQUIRE(ReadDataset(x + "," + y, Bytes()).ok());
  REQUIRE(ReadDataset(zipped + "," + y, Bytes()).ok());
  REQUIRE(ReadDataset(npz + ":test", Bytes()).ok());
  REQUIRE(CheckDataset(npz).ok());
  REQUIRE(Message(ReadDataset(npz, Bytes()).status()).find("must be called x and y, or") !=
          std::string::npos);
  REQUIRE(Message(ReadDataset(x, Bytes()).status()).find("FEATURES,LABELS") != std::string::npos);
  REQUIRE(Message(ReadDataset(x + "," + npz, Bytes()).status()).find("one is a .npy file") !=
          std::string::npos);
  REQUIRE(ReadDataset(x + "," + y + "x", Bytes()).status().code() == absl::StatusCode::kNotFound);
  std::filesystem::remove_all(folder);
}

}  // namespace crowdteach::learning
