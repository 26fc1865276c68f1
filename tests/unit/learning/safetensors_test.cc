#include "learning/model/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "tests/support/catch.h"
#include "tests/unit/learning/model_files.h"

namespace crowdteach::learning {
namespace {

// bias [3] at 0, weight [2, 3] at 3.
Layout SmallLayout() {
  Layout layout;
  layout.tensors = {{"fc.bias", {3}, 0, 3, true}, {"fc.weight", {2, 3}, 3, 6, true}};
  layout.total = layout.trainable = 9;
  return layout;
}

// A file of this JSON header and these floats.
std::string FileOf(const std::string& json, const std::vector<float>& values) {
  const uint64_t length = json.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  file += json;
  file.append(reinterpret_cast<const char*>(values.data()), 4 * values.size());
  return file;
}

std::string Entry(const std::string& name, const std::string& shape, int begin, int end) {
  return fmt::format(R"("{}":{{"dtype":"F32","shape":{},"data_offsets":[{},{}]}})", name, shape,
                     begin, end);
}

std::string ErrorOf(const std::string& json, size_t floats) {
  const std::string file = FileOf(json, std::vector<float>(floats));
  const auto header = ParseSafetensorsHeader(file, file.size());
  INFO(json);
  REQUIRE_FALSE(header.ok());
  return Message(header.status());
}

const std::vector<float> kValues = {1, 2, 3, 4, 5, 6, 7, 8, 9};

Status WriteValues(const std::string& path, const Layout& layout,
                   const std::vector<float>& values) {
  return WriteWeights(path, layout, [&](uint64_t begin, std::span<float> tile) {
    std::copy_n(values.begin() + static_cast<ptrdiff_t>(begin), tile.size(), tile.begin());
    return OkStatus();
  });
}

TEST_CASE("the canonical header is these bytes", "[safetensors]") {
  const std::string json = R"({"fc.bias":{"data_offsets":[0,12],"dtype":"F32","shape":[3]},)"
                           R"("fc.weight":{"data_offsets":[12,36],"dtype":"F32","shape":[2,3]}})";
  REQUIRE(json.size() == 126);
  const std::string header = CanonicalHeader(SmallLayout());
  CHECK(header == std::string("\x80\0\0\0\0\0\0\0", 8) + json + std::string(2, ' '));
  CHECK(CanonicalSizeBytes(SmallLayout()) == header.size() + 36);
}

TEST_CASE("a written file opens, reads back and is finite", "[safetensors]") {
  const TemporaryFolder folder;
  const Layout layout = SmallLayout();
  REQUIRE(WriteValues(folder / "w", layout, kValues).ok());
  CHECK(ReadText(folder / "w").substr(136) == FileOf("", kValues).substr(8));
  const WeightsFile file = Value(WeightsFile::Open(folder / "w", layout));
  CHECK(file.data_offset() == 136);
  CHECK(file.count() == 9);
  std::vector<float> some(4);
  REQUIRE(file.Read(5, some).ok());
  CHECK(some == std::vector<float>{6, 7, 8, 9});
  CHECK(CheckFinite(file, layout).ok());
}

TEST_CASE("weights open from a memory file too", "[safetensors]") {
  const std::string bytes = CanonicalHeader(SmallLayout()) + FileOf("", kValues).substr(8);
  const int fd = ::memfd_create("weights", MFD_CLOEXEC);
  REQUIRE(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  const WeightsFile file = Value(WeightsFile::FromDescriptor(fd, SmallLayout()));
  std::vector<float> all(9);
  REQUIRE(file.Read(0, all).ok());
  CHECK(all == kValues);
  REQUIRE(::ftruncate(fd, 150) == 0);
  CHECK(file.Read(0, all).code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("values that are no numbers are named by tensor and index", "[safetensors]") {
  const TemporaryFolder folder;
  const Layout layout = SmallLayout();
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    std::vector<float> values = kValues;
    values[5] = bad;
    REQUIRE(WriteValues(folder / "w", layout, values).ok());
    const Status status = CheckFinite(Value(WeightsFile::Open(folder / "w", layout)), layout);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(Message(status).find("'fc.weight' has the value") != std::string::npos);
    CHECK(Message(status).find("at index 2") != std::string::npos);
  }
}

TEST_CASE("any well-formed file is rewritten to the one canonical form", "[safetensors]") {
  const TemporaryFolder folder;
  const Layout layout = SmallLayout();
  REQUIRE(WriteValues(folder / "canonical", layout, kValues).ok());
  // Weight first, white space, metadata, an odd header length.
  const std::string json = "{ \"__metadata__\" : {\"format\": \"pt\"},\n" +
                           Entry("fc.weight", "[2, 3]", 0, 24) + " ," +
                           Entry("fc.bias", "[3]", 24, 36) + "}";
  WriteText(folder / "other", FileOf(json, {4, 5, 6, 7, 8, 9, 1, 2, 3}));
  const auto refused = WeightsFile::Open(folder / "other", layout);
  REQUIRE_FALSE(refused.ok());
  CHECK(Message(refused.status()).find("not canonical: rewrite it") != std::string::npos);
  REQUIRE(RewriteWeights(folder / "other", layout, folder / "rewritten").ok());
  CHECK(ReadText(folder / "rewritten") == ReadText(folder / "canonical"));
  REQUIRE(RewriteWeights(folder / "rewritten", layout, folder / "rewritten").ok());
  CHECK(ReadText(folder / "rewritten") == ReadText(folder / "canonical"));
}

TEST_CASE("rewriting and writing cross tiles", "[safetensors]") {
  const TemporaryFolder folder;
  Layout layout;
  const uint64_t a = 300'001, b = 400'003;
  layout.tensors = {{"a.weight", {a}, 0, a, true}, {"b.weight", {b}, a, b, true}};
  layout.total = layout.trainable = a + b;
  std::vector<float> values(layout.total);
  std::iota(values.begin(), values.end(), 0.0F);
  REQUIRE(WriteValues(folder / "canonical", layout, values).ok());
  std::rotate(values.begin(), values.begin() + a, values.end());
  const std::string json = "{" + Entry("b.weight", fmt::format("[{}]", b), 0, 4 * b) + "," +
                           Entry("a.weight", fmt::format("[{}]", a), 4 * b, 4 * (a + b)) + "}";
  WriteText(folder / "other", FileOf(json, values));
  REQUIRE(RewriteWeights(folder / "other", layout, folder / "rewritten").ok());
  CHECK((ReadText(folder / "rewritten") == ReadText(folder / "canonical")));
}

TEST_CASE("tensors that do not fit the model are named", "[safetensors]") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& json, size_t floats) {
    WriteText(folder / "w", FileOf(json, std::vector<float>(floats)));
    const auto file = WeightsFile::Open(folder / "w", SmallLayout());
    REQUIRE_FALSE(file.ok());
    const Status rewritten = RewriteWeights(folder / "w", SmallLayout(), folder / "out");
    CHECK(Message(rewritten) == Message(file.status()));
    CHECK_FALSE(std::filesystem::exists(folder / "out"));
    return Message(file.status());
  };
  const std::string bias = Entry("fc.bias", "[3]", 0, 12);
  CHECK(error("{" + bias + "}", 3).find("'fc.weight' of the model is missing") !=
        std::string::npos);
  CHECK(error("{" + bias + "," + Entry("fc.weight", "[3,2]", 12, 36) + "}", 9)
            .find("'fc.weight' has shape [3, 2], but the model needs [2, 3]") != std::string::npos);
  const std::string both = bias + "," + Entry("fc.weight", "[2,3]", 12, 36);
  for (const std::string name : {"a", "fc.c", "z"}) {
    CHECK(error("{" + both + "," + Entry(name, "[1]", 36, 40) + "}", 10)
              .find("'" + name + "' is not in the model") != std::string::npos);
  }
}

TEST_CASE("malformed headers are refused with the reason", "[safetensors]") {
  const std::string a = Entry("a", "[2]", 0, 8);
  const struct {
    std::string json, error;
    size_t floats;
  } cases[] = {
      {"", "does not begin with {", 0},
      {" {}", "does not begin with {", 0},
      {"{", "malformed JSON at byte", 0},
      {"{}x", "malformed JSON at byte", 0},
      {"{\"a\xff\":1}", "malformed JSON at byte", 0},
      {"{\"a\":1}", "a number where", 0},
      {"{\"a\":null}", "a null where", 0},
      {"{\"a\":[]}", "an array where", 0},
      {"{\"a\":{\"dtype\":{}}}", "an object where", 0},
      {"{\"a\":{\"shape\":[[1]]}}", "an array where", 0},
      {"{\"a\":{\"shape\":[1.5]}}", "a fraction where", 0},
      {"{\"a\":{\"shape\":[-1]}}", "a negative number where", 0},
      {"{\"a\":{\"shape\":[99999999999999999999]}}", "a fraction where", 0},
      {"{\"a\":{\"shape\":[1,1,1,1,1,1,1,1,1]}}", "too long an array", 0},
      {"{\"a\":{\"shape\":\"x\"}}", "a string where", 0},
      {"{\"a\":{\"dtype\":[1]}}", "an array where", 0},
      {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
       "tensor 'a' has dtype 'F16'", 1},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "tensor 'a' needs dtype", 2},
      {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", "tensor 'a' has twice the key 'dtype'", 2},
      {"{\"a\":{\"more\":1}}", "tensor 'a' has an unknown key 'more'", 2},
      {"{\"a\":{\"data_offsets\":[0,4,8]}}", "data_offsets must be [begin, end]", 2},
      {"{\"__metadata__\":{\"a\":1}}", "a number where", 0},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", "__metadata__ stands there twice", 0},
      {"{\"__metadata__\":\"x\"}", "a string where", 0},
      {"{" + a + "," + a + "}", "tensor 'a' stands there twice", 2},
      {"{" + a + "}", "4 bytes after the last tensor", 3},
      {"{" + a + "}", "tensor 'a' of shape [2] has data_offsets [0, 8] in 4 bytes", 1},
      {"{" + Entry("a", "[3]", 0, 8) + "}", "tensor 'a' of shape [3]", 2},
      {"{" + Entry("a", "[2]", 8, 0) + "}", "tensor 'a' of shape [2]", 2},
      {"{" + a + "," + Entry("b", "[1]", 12, 16) + "}", "a gap before tensor 'b'", 4},
      {"{" + a + "," + Entry("b", "[2]", 4, 12) + "}", "an overlap before tensor 'b'", 3},
      {"{" + Entry("a", "[4294967296,4294967296,4294967296]", 0, 0) + "}", "tensor 'a' of", 0},
  };
  for (const auto& item : cases) {
    const std::string error = ErrorOf(item.json, item.floats);
    INFO(item.json);
    INFO(error);
    CHECK(error.find(item.error) != std::string::npos);
  }
}

TEST_CASE("the announced header length is bounded by file and limit", "[safetensors]") {
  std::string file = FileOf("{}", {});
  CHECK(ParseSafetensorsHeader(file, file.size()).ok());
  CHECK_FALSE(ParseSafetensorsHeader(file.substr(0, 9), 9).ok());
  CHECK_FALSE(ParseSafetensorsHeader(file.substr(0, 7), 7).ok());
  for (const uint64_t length : {uint64_t{3}, kMaxSafetensorsHeaderBytes + 1, UINT64_MAX}) {
    std::memcpy(file.data(), &length, 8);
    CHECK_FALSE(ParseSafetensorsHeader(file, file.size()).ok());
    CHECK_FALSE(ParseSafetensorsHeader(file, UINT64_MAX).ok());
  }
}

TEST_CASE("files that are missing, short or no files are statuses", "[safetensors]") {
  const TemporaryFolder folder;
  const Layout layout = SmallLayout();
  CHECK(WeightsFile::Open(folder / "none", layout).status().code() == absl::StatusCode::kNotFound);
  CHECK_FALSE(WeightsFile::Open(folder / "", layout).ok());
  WriteText(folder / "short", "abc");
  CHECK(WeightsFile::Open(folder / "short", layout).status().code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(WriteValues(folder / "no/such/folder", layout, kValues).code() ==
        absl::StatusCode::kNotFound);
  const Status failed = WriteWeights(folder / "w", layout, [](uint64_t, std::span<float>) {
    return Unavailable("the source is gone");
  });
  CHECK(failed.code() == absl::StatusCode::kUnavailable);
  size_t files = 0;
  for ([[maybe_unused]] const auto& item : std::filesystem::directory_iterator(folder / "")) {
    ++files;
  }
  CHECK(files == 1);  // "short": no temporary file is left
}

TEST_CASE("mutated files are parsed or refused, never more", "[safetensors][property]") {
  const uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string good = CanonicalHeader(SmallLayout()) + FileOf("", kValues).substr(8);
  for (int i = 0; i < 20000; ++i) {
    // Half of the time only the JSON, so that the length does not hide everything else.
    std::string file = Mutated(good, random);
    if (i % 2 == 0) file = FileOf(Mutated(good.substr(8, 126), random), kValues);
    const auto header = ParseSafetensorsHeader(file, file.size());
    if (!header.ok()) continue;
    uint64_t bytes = header->data_offset;
    for (const StoredTensor& item : header->tensors) bytes += item.end_bytes - item.begin_bytes;
    CHECK(bytes == file.size());
  }
}

}  // namespace
}  // namespace crowdteach::learning
