#include "client/training_log.h"

#include <cmath>
#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace crowdteach::client {
namespace {

TEST_CASE("A progress line is exactly that") {
  const auto step = ParseProgressLine("progress 3/40 loss 0.25");
  REQUIRE(step.has_value());
  CHECK(step->done == 3);
  CHECK(step->total == 40);
  CHECK(step->loss_nats == 0.25);
  REQUIRE(ParseProgressLine("progress 40/40").has_value());
  CHECK(std::isnan(ParseProgressLine("progress 0/1")->loss_nats));
  CHECK(std::isnan(ParseProgressLine("progress 1/2 loss nan")->loss_nats));
  for (const char* other :
       {"", "progress", "progress 1", "progress 1/", "progress 1/0", "progress 3/2",
        "progress -1/2", "progress 1/2 loss", "progress 1/2 loss x", "progress 1/2 loss 1 ",
        " progress 1/2", "Progress 1/2", "progress  1/2", "progress 1/99999999999999999999"}) {
    INFO(other);
    CHECK_FALSE(ParseProgressLine(other).has_value());
  }
}

struct Heard {
  std::vector<std::string> lines;
  std::vector<uint64_t> steps;
  TrainingLog log{[this](const ProgressLine& step) { steps.push_back(step.done); },
                  [this](std::string_view line) { lines.emplace_back(line); }};
};

TEST_CASE("Lines come whole, however they arrive") {
  const std::string text = "one\nprogress 1/2\rprogress 2/2 loss 1\r\n\ntwo";
  Heard heard;
  for (const char c : text) heard.log.Take({&c, 1});
  CHECK(heard.lines == std::vector<std::string>{"one"});
  heard.log.End();
  CHECK(heard.lines == std::vector<std::string>{"one", "two"});
  CHECK(heard.steps == std::vector<uint64_t>{1, 2});
  CHECK(heard.log.Tail() == "\n | one\n | two");
}

TEST_CASE("Long and hostile lines are cut and escaped") {
  Heard heard;
  heard.log.Take(std::string("\x1b[2J\a\tx\xc3\xa4") + std::string(1, '\0') + "\n");
  CHECK(heard.lines == std::vector<std::string>{R"(\x1b[2J\x07 x\xc3\xa4\x00)"});
  heard.log.Take(std::string(100'000, 'a'));
  heard.log.Take(std::string(100'000, 'a') + "\nprogress 1/2" + std::string(1000, ' ') + "\nend\n");
  REQUIRE(heard.lines.size() == 4);
  CHECK(heard.lines[1] == std::string(TrainingLog::kMaxLineBytes, 'a') + "…");
  CHECK(heard.lines[3] == "end");
  CHECK(heard.steps.empty());
}

TEST_CASE("The last lines are kept") {
  Heard heard;
  for (int i = 0; i < 100; ++i) heard.log.Take(std::to_string(i) + "\n");
  CHECK(heard.log.Tail().substr(0, 6) == "\n | 90");
  CHECK(heard.lines.size() == 100);
}

}  // namespace
}  // namespace crowdteach::client
