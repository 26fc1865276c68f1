// What the tests of learning/model share: example models, files, a temporary folder.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "learning/model/model_spec.h"
#include "tests/support/catch.h"

namespace crowdteach::learning {

inline std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.is_open());
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  REQUIRE(file.good());
}

inline std::string ExampleModel(const std::string& name) {
  return ReadText(std::filesystem::path(CROWDTEACH_SOURCE_DIR) / "examples/models" / name /
                  "model.toml");
}

// The value, or a test failure with the status's message.
template <typename T>
T Value(StatusOr<T> result) {
  INFO((result.ok() ? "" : Message(result.status())));
  REQUIRE(result.ok());
  return *std::move(result);
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "model-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// `text` with a few bytes changed, cut out, doubled or put in.
inline std::string Mutated(std::string text, std::mt19937_64& random) {
  const auto below = [&](size_t limit) { return limit == 0 ? 0 : random() % limit; };
  for (size_t edits = 1 + below(4); edits > 0 && !text.empty(); --edits) {
    const size_t at = below(text.size());
    switch (below(4)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, below(20));
        break;
      case 2:
        text.insert(at, text.substr(below(text.size()), below(40)));
        break;
      default:
        text.insert(at, 1, "0123456789[]{},.\"=-\n"[below(20)]);
    }
  }
  return text;
}

}  // namespace crowdteach::learning
