// A small model on disk for tests of learning/: canonical weights with frozen tensors between the
// trainable ones, and random updates.
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "learning/aggregate/trainable_file.h"
#include "learning/aggregate/update_set.h"
#include "tests/support/catch.h"

namespace crowdteach::learning {

class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "crowdteach-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string File(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

template <typename Value>
void WriteValues(const std::string& path, const std::string& head,
                 const std::vector<Value>& values) {
  std::ofstream file(path, std::ios::binary);
  file << head;
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(Value)));
  REQUIRE(file.good());
}

struct TestModel {
  WeightsFormat format;
  std::string header;
  std::vector<std::string> frozen;

  // Tensors of these sizes, named a, b, …; a negative size is a frozen one.
  explicit TestModel(const std::vector<int64_t>& sizes) {
    std::string json = "{";
    for (size_t i = 0; i < sizes.size(); ++i) {
      Tensor tensor;
      tensor.name = std::string(1, static_cast<char>('a' + i));
      tensor.count = static_cast<uint64_t>(sizes[i] < 0 ? -sizes[i] : sizes[i]);
      tensor.shape = {tensor.count};
      tensor.offset = format.layout.total;
      tensor.trainable = sizes[i] > 0;
      if (!tensor.trainable) frozen.push_back(tensor.name);
      json += fmt::format("{}\"{}\":{{\"data_offsets\":[{},{}],\"dtype\":\"F32\",\"shape\":[{}]}}",
                          i == 0 ? "" : ",", tensor.name, 4 * tensor.offset,
                          4 * (tensor.offset + tensor.count), tensor.count);
      format.layout.total += tensor.count;
      if (tensor.trainable) format.layout.trainable += tensor.count;
      format.layout.tensors.push_back(std::move(tensor));
    }
    json += "}";
    while (json.size() % 8 != 0) json += ' ';
    const uint64_t length = json.size();
    header.assign(reinterpret_cast<const char*>(&length), sizeof(length));
    header += json;
    format.data_offset_bytes = header.size();
  }

  std::vector<float> Weights(const std::string& path) const {
    const std::string bytes = ReadBytes(path);
    REQUIRE(bytes.size() == format.SizeBytes());
    REQUIRE(bytes.substr(0, header.size()) == header);
    std::vector<float> weights(format.layout.total);
    std::memcpy(weights.data(), bytes.data() + header.size(), 4 * weights.size());
    return weights;
  }

  // What an update covers of a flat vector.
  std::vector<float> Trainable(const std::vector<float>& weights) const {
    std::vector<float> values;
    for (const Tensor& tensor : format.layout.tensors) {
      if (!tensor.trainable) continue;
      const auto begin = weights.begin() + static_cast<ptrdiff_t>(tensor.offset);
      values.insert(values.end(), begin, begin + static_cast<ptrdiff_t>(tensor.count));
    }
    return values;
  }
};

inline std::vector<float> RandomFloats(uint64_t count, double deviation, std::mt19937_64& random) {
  std::normal_distribution<double> normal(0.0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(random));
  return values;
}

// Of any size up to the ends of int32.
inline std::vector<int32_t> RandomUpdate(uint64_t count, std::mt19937_64& random) {
  std::vector<int32_t> values(count);
  for (int32_t& value : values) {
    const uint64_t bits = random();
    value = static_cast<int32_t>(static_cast<int32_t>(bits) >> ((bits >> 32) % 32));
    if ((bits >> 40) % 100 == 0) value = INT32_MIN;
    if ((bits >> 40) % 100 == 1) value = INT32_MAX;
  }
  return values;
}

inline TeacherUpdate InMemory(uint64_t account, uint64_t weight, std::vector<int32_t> values,
                              uint64_t clip_factor = 0) {
  TeacherUpdate update;
  update.account = account;
  update.digest = base::BlobDigest(
      base::BlobKind::kUpdate,
      {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int32_t)});
  update.weight = weight;
  update.clip_factor = clip_factor;
  update.values = MemoryTiles(std::move(values));
  return update;
}

}  // namespace crowdteach::learning
