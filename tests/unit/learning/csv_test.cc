#include <fmt/ranges.h>

#include <clocale>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "learning/data/readers.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/data_terms.h"

namespace crowdteach::learning {
namespace {

v1::DataTerms Terms(v1::FeatureType type = v1::FLOAT32,
                    const std::vector<std::string>& columns = {"a", "b"}) {
  v1::DataTerms terms = SmallTerms({2}, type, {"cat", "big dog", "1"});
  terms.set_csv_label_column("label");
  for (const std::string& name : columns) terms.add_csv_feature_columns(name);
  return terms;
}

std::vector<float> Values(const ExamplesFile& file, uint64_t i) {
  std::vector<float> values(file.format().features);
  std::memcpy(values.data(), file.features(i).data(), values.size() * 4);
  return values;
}

std::string ErrorOf(const std::string& text, const v1::DataTerms& terms = Terms()) {
  const auto file = ParseCsv(text, "t.csv", terms);
  REQUIRE(file.status().code() == absl::StatusCode::kInvalidArgument);
  return Message(file.status());
}

}  // namespace

TEST_CASE("CSV: quotes, line ends, blank lines, byte order mark, columns in the terms' order") {
  const std::string text =
      "\xef\xbb\xbf"
      "a,\"la\"\"bel\",label,b\r\n"
      "1.5,\"x,\n\"\"y\",big dog,-2e3\r\n"
      " 4 ,,\"cat\",.5\n\r\n\n"
      "0,z,1,1e-60";
  const auto file = ParseCsv(text, "t.csv", Terms(v1::FLOAT32, {"b", "a"}));
  REQUIRE(file.status() == OkStatus());
  REQUIRE(file->count() == 3);
  REQUIRE(file->label(0) == 1);
  REQUIRE(Values(*file, 0) == std::vector<float>{-2000, 1.5});
  REQUIRE(file->label(1) == 0);
  REQUIRE(Values(*file, 1) == std::vector<float>{0.5, 4});
  REQUIRE(file->label(2) == 2);
  REQUIRE(Values(*file, 2) == std::vector<float>{0, 0});
}

TEST_CASE("CSV: bytes; limit") {
  const v1::DataTerms terms = Terms(v1::U8, {"x", "y"});
  const auto file = ParseCsv("x,label,y\n0,cat,255\n7,1,8\n", "t.csv", terms);
  REQUIRE(file.status() == OkStatus());
  REQUIRE(file->features(0) == std::string("\0\xff", 2));
  REQUIRE(file->features(1) == "\x07\x08");
  REQUIRE(ParseCsv("x,label,y\n0,cat,255\nbad", "t.csv", terms, {.limit = 1})->count() == 1);
}

TEST_CASE("CSV: terms without feature columns get those of a table, in its order") {
  char folder[] = "/tmp/crowdteach-csv-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/t.csv";
  const auto list = [&](std::string_view text, const std::string& spec) -> StatusOr<std::string> {
    std::ofstream(path, std::ios::binary) << text;
    v1::DataTerms terms = Terms(v1::U8, {});
    CT_RETURN_IF_ERROR(ListCsvColumns(spec, &terms));
    return fmt::format("{}", fmt::join(terms.csv_feature_columns(), " "));
  };
  REQUIRE(list("z,label,a\n1,cat,2\n", path).value() == "z a");
  REQUIRE(Message(list("z,label,z\n", path).status()) == path + ":1: two columns are called \"z\"");
  REQUIRE(Message(list("z,a\n", path).status()) ==
          path + ":1: the header has no column \"label\", which the campaign's terms name");
  REQUIRE(Message(list("\xff\xfez\n", path).status()) ==
          path + ":1: the file is UTF-16; save it as UTF-8");
  REQUIRE(Message(list("", folder).status()).find("list them as csv-feature-columns") !=
          std::string::npos);
  std::filesystem::remove_all(folder);

  v1::DataTerms listed = Terms(v1::U8, {"b", "a"});
  REQUIRE(ListCsvColumns("/nonexistent.csv", &listed).ok());
  REQUIRE(listed.csv_feature_columns(0) == "b");
  v1::DataTerms no_csv;
  REQUIRE(ListCsvColumns("/nonexistent", &no_csv).ok());
}

TEST_CASE("CSV errors name file, line and column") {
  REQUIRE(ErrorOf("") == "t.csv:1: the file is empty; a header must come first");
  REQUIRE(ErrorOf("a,b,label\n") == "t.csv:1: no record after the header");
  REQUIRE(ErrorOf("a,b,c\n") ==
          "t.csv:1: the header has no column \"label\", which the campaign's terms name");
  REQUIRE(ErrorOf("label,b,label\n") == "t.csv:1: two columns are called \"label\"");
  REQUIRE(ErrorOf("a,label\n") ==
          "t.csv:1: the header has no column \"b\", which the campaign's terms name");
  REQUIRE(ErrorOf("a,label,a,b\n") == "t.csv:1: two columns are called \"a\"");
  REQUIRE(ErrorOf("a,label\n", Terms(v1::U8, {"a"})) ==
          "t.csv:1: 1 feature columns, but the campaign's input-shape [2] has 2 values");
  REQUIRE(ErrorOf("a,b,label\n1,2\n") == "t.csv:2: 2 columns, but the header has 3");
  REQUIRE(ErrorOf("a,b,label\n1,2,cat,4\n") == "t.csv:2: more than 3 columns");
  REQUIRE(ErrorOf("a,b,label\n1,2,cat\n3\n") == "t.csv:3: 1 columns, but the header has 3");
  REQUIRE(ErrorOf("a,b,label\n1,2,cat\n\n1,2\n") == "t.csv:4: 2 columns, but the header has 3");
  REQUIRE(
      ErrorOf("a;b;label\n1;2;cat\n") ==
      "t.csv:1: the header has no column \"label\", which the campaign's terms name; it seems to "
      "be separated by \";\": save the table with commas");
  REQUIRE(ErrorOf("a,B,Label\n1,2,cat\n") ==
          "t.csv:1: the header has no column \"label\", which the campaign's terms name; it has "
          "\"Label\": call it as the terms do");
  REQUIRE(ErrorOf("a,b,label\n\"1\n\",2,cat\n1,2,cow\n").find("t.csv:2: column \"a\": ") == 0);
  REQUIRE(ErrorOf("a,b,label\n\"1\",2,cat\n1,2,cow\n") ==
          "t.csv:3: column \"label\": \"cow\" is none of the campaign's classes: \"cat\", "
          "\"big dog\", \"1\"");
  REQUIRE(ErrorOf("a,b,label\n1,nan,cat\n") ==
          "t.csv:2: column \"b\": \"nan\" is not a finite number (float32)");
  REQUIRE(ErrorOf("a,b,label\n1,-inf,cat\n") ==
          "t.csv:2: column \"b\": \"-inf\" is not a finite number (float32)");
  REQUIRE(ErrorOf("a,b,label\n1,1e39,cat\n") ==
          "t.csv:2: column \"b\": \"1e39\" is not a finite number (float32)");
  REQUIRE(ErrorOf("a,b,label\n1,1e999,cat\n") ==
          "t.csv:2: column \"b\": \"1e999\" is beyond the range of numbers");
  for (const char* bad : {"", "x", "1,5", "1 2", "0x10", "1.5.2", "--1"}) {
    REQUIRE(ErrorOf(fmt::format("a,b,label\n1,\"{}\",cat\n", bad)) ==
            fmt::format("t.csv:2: column \"b\": \"{}\" is not a number", bad));
  }
  REQUIRE(ErrorOf("a,b,label\n1,256,cat\n", Terms(v1::U8)) ==
          "t.csv:2: column \"b\": \"256\" is outside 0-255 (feature-type is u8)");
  REQUIRE(ErrorOf("a,b,label\n1,1.0,cat\n", Terms(v1::U8)) ==
          "t.csv:2: column \"b\": \"1.0\" is not a whole number (feature-type is u8)");
  v1::DataTerms no_csv = Terms();
  no_csv.clear_csv_label_column();
  REQUIRE(ErrorOf("a,b,label\n1,2,cat\n", no_csv).find("name no csv-label-column") !=
          std::string::npos);
}

TEST_CASE("CSV grammar is strict") {
  REQUIRE(ErrorOf("a,b,label\n1,2\"2,cat\n") ==
          "t.csv:2: a quote inside a field that does not start with one");
  REQUIRE(ErrorOf("a,b,label\n1,\"2\"2,cat\n") ==
          "t.csv:2: text after the closing quote of a field");
  REQUIRE(ErrorOf("a,b,label\n1,\"2,cat\n\n") ==
          "t.csv:2: the quote that opens here is never closed");
  REQUIRE(ErrorOf("a,b,label\r1,2,cat\r") ==
          "t.csv:1: a carriage return without a line feed after it");
  REQUIRE(ErrorOf("a,b,label\n1,2," + std::string((1 << 20) + 1, 'c') + "\n") ==
          "t.csv:2: a field is longer than 1 MiB");
}

TEST_CASE("CSV numbers do not depend on the locale") {
  // Locales with a decimal comma; on a machine with none of them the C locale is tried.
  const std::string before = std::setlocale(LC_ALL, nullptr);
  const bool set = std::setlocale(LC_ALL, "de_DE.UTF-8") || std::setlocale(LC_ALL, "de_CH.UTF-8");
  INFO("locale set: " << set);
  const auto file = ParseCsv("a,b,label\n1.25,2,cat\n", "t.csv", Terms());
  std::setlocale(LC_ALL, before.c_str());
  REQUIRE(file.status() == OkStatus());
  REQUIRE(Values(*file, 0) == std::vector<float>{1.25, 2});
}

}  // namespace crowdteach::learning
