#include "learning/data/examples.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/support/catch.h"
#include "tests/unit/learning/data_terms.h"

namespace crowdteach::learning {
namespace {

std::string TempPath(const std::string& name) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("{}-{}", getpid(), name);
  std::filesystem::remove(path);
  return path.string();
}

std::string Floats(const std::vector<float>& values) {
  std::string bytes(values.size() * 4, '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("a record is salt, big-endian label, raw features") {
  const v1::DataTerms terms = SmallTerms({1, 2}, v1::U8, {"a", "b", "c"});
  auto writer = ExamplesWriter::InMemory(terms, "set");
  REQUIRE(writer.ok());
  REQUIRE(writer->Append("0123456789abcdef", 2, "xy").ok());
  REQUIRE(writer->Append(1, "zw").ok());
  auto file = std::move(*writer).Finish();
  REQUIRE(file.ok());
  REQUIRE(file->count() == 2);
  REQUIRE(file->bytes() == std::string("0123456789abcdef\0\0\0\2xy", 22) + std::string(16, '\0') +
                               std::string("\0\0\0\1zw", 6));
  REQUIRE(file->label(0) == 2);
  REQUIRE(file->features(0) == "xy");
  REQUIRE(file->salt(0) == "0123456789abcdef");
  REQUIRE(file->label(1) == 1);
  // Sealed: nobody can change what another process has mapped.
  REQUIRE(write(file->fd(), "x", 1) < 0);
  REQUIRE(ftruncate(file->fd(), 0) < 0);
}

TEST_CASE("float32 features are stored as they are and aligned") {
  const v1::DataTerms terms = SmallTerms({3}, v1::FLOAT32, {"a", "b"});
  const std::string path = TempPath("floats");
  auto writer = ExamplesWriter::Create(path, terms);
  REQUIRE(writer.ok());
  REQUIRE(writer->Append(1, Floats({1.5f, -0.0f, 3e38f})).ok());
  REQUIRE(writer->Append(0, Floats({0, 1, 2})).ok());
  REQUIRE(std::move(*writer).Finish().ok());
  REQUIRE(ExamplesWriter::Create(path, terms).status().code() == absl::StatusCode::kAlreadyExists);
  const auto file = ExamplesFile::Open(path, terms);
  REQUIRE(file.ok());
  REQUIRE(file->features(0) == Floats({1.5f, -0.0f, 3e38f}));
  REQUIRE(reinterpret_cast<uintptr_t>(file->features(1).data()) % alignof(float) == 0);
  std::filesystem::remove(path);
}

TEST_CASE("what cannot be an example is refused, and says which") {
  const v1::DataTerms terms = SmallTerms({1}, v1::FLOAT32, {"a", "b"});
  const std::string path = TempPath("dropped");
  {
    auto writer = ExamplesWriter::Create(path, terms);
    REQUIRE(writer.ok());
    REQUIRE(Message(writer->Append(2, Floats({0}))) ==
            path + ": record 0: label 2 is not below 2, the number of classes");
    REQUIRE(Message(writer->Append(0, "abc")) ==
            path + ": record 0: a salt of 16 and features of 3 bytes; must be 16 and 4");
    REQUIRE(Message(writer->Append(0, Floats({std::numeric_limits<float>::infinity()}))) ==
            path + ": record 0: feature 0 is not a finite number");
    REQUIRE(Message(std::move(*writer).Finish().status()) == path + ": no example in it");
  }
  REQUIRE_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a foreign file is checked before it is used") {
  const v1::DataTerms terms = SmallTerms({1}, v1::FLOAT32, {"a", "b"});
  const std::string path = TempPath("foreign");
  const auto opened = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return ExamplesFile::Open(path, terms).status();
  };
  const std::string good = std::string(19, '\0') + "\1" + Floats({1});
  REQUIRE(opened(good).ok());
  REQUIRE(Message(opened("")).find("0 bytes are not one or more records of 24 bytes") !=
          std::string::npos);
  REQUIRE(Message(opened(good + "x")).find("25 bytes are not") != std::string::npos);
  REQUIRE(Message(opened(good + std::string(19, '\0') + "\2" + Floats({1}))) ==
          path + ": record 1: label 2 is not below 2, the number of classes");
  REQUIRE(Message(opened(good + std::string(20, '\0') + Floats({NAN}))) ==
          path + ": record 1: feature 0 is not a finite number");
  std::filesystem::remove(path);
  REQUIRE(ExamplesFile::Open(path, terms).status().code() == absl::StatusCode::kNotFound);
  REQUIRE_FALSE(ExamplesFile::Open("/", terms).ok());
}

}  // namespace crowdteach::learning
