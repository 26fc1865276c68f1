#include "learning/data/summary.h"

#include <cmath>

#include "learning/data/memory.h"
#include "learning/data/readers.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/data_terms.h"
#include "tests/unit/learning/foreign_files.h"

namespace crowdteach::learning {
namespace {

ExamplesFile Read(const std::string& features, const std::string& labels,
                  const v1::DataTerms& terms) {
  return ParseNpy(features, labels, terms).value();
}

bool Mentions(const std::vector<std::string>& hints, std::string_view words) {
  for (const std::string& hint : hints) {
    if (hint.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("bytes are summed up raw and as the network sees them") {
  v1::DataTerms terms = SmallTerms({1, 2}, v1::U8, {"a", "b", "c"});
  terms.set_mean_nano(0, 500'000'000);
  terms.set_deviation_nano(0, 500'000'000);
  const auto file = Read(Npy("|u1", "2, 2", std::string("\0\xff\0\xff", 4)),
                         Npy("|u1", "2,", std::string("\0\2", 2)), terms);
  const DataSummary summary = Summarise(file, terms);
  REQUIRE(summary.count == 2);
  REQUIRE(summary.per_class == std::vector<uint64_t>{1, 0, 1});
  REQUIRE(summary.raw.least == 0);
  REQUIRE(summary.raw.most == 255);
  REQUIRE(summary.raw.mean == 127.5);
  REQUIRE(summary.raw.deviation == 127.5);
  REQUIRE(summary.normalised.least == -1);
  REQUIRE(summary.normalised.most == 1);
  REQUIRE(std::abs(summary.normalised.mean) < 1e-12);
  const auto hints = Hints(summary, terms);
  REQUIRE(hints.size() == 1);
  REQUIRE(Mentions(hints, "1 of 3 classes have no example here"));
}

TEST_CASE("hints: another unit, a constant column, names that look alike") {
  v1::DataTerms terms = SmallTerms({2}, v1::FLOAT32, {"Benign", "benign ", "c"});
  terms.add_mean_nano(0);
  terms.add_deviation_nano(1'000'000'000);
  terms.add_csv_feature_columns("radius");
  terms.add_csv_feature_columns("area");
  const auto file = Read(Npy("<f8", "3, 2", Values<double>({1000, 7, 1001, 7, 1002, 7})),
                         Npy("|u1", "3,", std::string("\0\1\2", 3)), terms);
  const DataSummary summary = Summarise(file, terms);
  REQUIRE(summary.channels.size() == 2);
  REQUIRE(summary.channels[0].mean == 1001);
  REQUIRE(std::abs(summary.channels[0].deviation - std::sqrt(2.0 / 3)) < 1e-9);
  const auto hints = Hints(summary, terms);
  REQUIRE(Mentions(hints, "\"Benign\" and \"benign \" are easily taken for one another"));
  REQUIRE(Mentions(hints, "column \"radius\": normalised, the mean is 1e+03"));
  REQUIRE(Mentions(hints, "column \"area\": every value is 7"));

  const v1::DataTerms bytes = SmallTerms({2}, v1::U8, {"a", "b"});
  const auto binary =
      Read(Npy("|b1", "1, 2", std::string("\0\1", 2)), Npy("|u1", "1,", "\1"), bytes);
  REQUIRE(Mentions(Hints(Summarise(binary, bytes), bytes), "multiply by 255?"));
}

TEST_CASE("free memory is read, and unknown where it is not told") {
  REQUIRE(AvailableBytes("MemTotal:  9 kB\nMemAvailable:   1234 kB\n") == 1234 * 1024);
  REQUIRE(AvailableBytes("MemTotal:  9 kB\n") == UINT64_MAX);
  REQUIRE(AvailableBytes("MemAvailable: lots\n") == UINT64_MAX);
  REQUIRE(GroupBytes("1000\n", "900\n", "anon 300\nactive_file 200\ninactive_file 400\n") == 700);
  REQUIRE(GroupBytes("1000\n", "1200\n", "anon 1200\n") == 0);
  REQUIRE(GroupBytes("max\n", "900\n", "") == UINT64_MAX);
  REQUIRE(GroupBytes("", "", "") == UINT64_MAX);
  REQUIRE(FreeMemoryBytes() > 0);
}

}  // namespace crowdteach::learning
