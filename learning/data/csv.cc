// ReadCsv: what the columns of a table mean under the campaign's terms.
#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "learning/data/csv_records.h"
#include "learning/data/plain_name.h"
#include "learning/data/readers.h"
#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

constexpr size_t kMaxColumns = size_t{1} << 25;

// Where in a record the terms' columns stand.
struct Columns {
  size_t label = 0;
  std::vector<size_t> features;  // in input order
};

StatusOr<std::vector<std::string>> ReadHeader(CsvRecords* records) {
  std::vector<std::string> header;
  CT_ASSIGN_OR_RETURN(const bool found, records->Next(&header, kMaxColumns));
  if (!found) {
    return InvalidArgument("{}:1: the file is empty; a header must come first", records->name());
  }
  for (const char* mark : {"\xff\xfe", "\xfe\xff"}) {
    if (header[0].compare(0, 2, mark) != 0) continue;
    return InvalidArgument("{}:1: the file is UTF-16; save it as UTF-8", records->name());
  }
  return header;
}

// Where each name stands in a header. A name the terms use must stand there once.
class Header {
 public:
  Header(const std::vector<std::string>& names, const CsvRecords& records)
      : names_(names), records_(records) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (!places_.emplace(names[i], i).second) twice_.insert(names[i]);
    }
  }

  StatusOr<size_t> Find(const std::string& name) const {
    const auto place = places_.find(name);
    if (place == places_.end()) {
      return InvalidArgument(
          "{}:{}: the header has no column {}, which the campaign's terms name{}", records_.name(),
          records_.line(), base::Quoted(name), Guess(name));
    }
    if (!twice_.contains(name)) return place->second;
    return InvalidArgument("{}:{}: two columns are called {}", records_.name(), records_.line(),
                           base::Quoted(name));
  }

 private:
  // What a person who misses the column `name` probably has, or "".
  std::string Guess(const std::string& name) const {
    for (const char separator : {';', '\t', '|'}) {
      if (names_.size() != 1 || names_[0].find(separator) == std::string::npos) continue;
      return fmt::format("; it seems to be separated by {}: save the table with commas",
                         base::Quoted(std::string_view(&separator, 1)));
    }
    for (const std::string& similar : names_) {
      if (PlainName(similar) != PlainName(name)) continue;
      return fmt::format("; it has {}: call it as the terms do", base::Quoted(similar));
    }
    return "";
  }

  const std::vector<std::string>& names_;
  const CsvRecords& records_;
  std::map<std::string_view, size_t> places_;
  std::set<std::string_view> twice_;
};

StatusOr<Columns> FindColumns(const std::vector<std::string>& names, const v1::DataTerms& terms,
                              const CsvRecords& records) {
  const Header header(names, records);
  Columns columns;
  CT_ASSIGN_OR_RETURN(columns.label, header.Find(terms.csv_label_column()));
  for (const std::string& name : terms.csv_feature_columns()) {
    CT_ASSIGN_OR_RETURN(const size_t place, header.Find(name));
    columns.features.push_back(place);
  }
  const ExampleFormat format(terms);
  if (columns.features.size() != format.features) {
    return InvalidArgument(
        "{}:{}: {} feature columns, but the campaign's input-shape [{}] has {} values",
        records.name(), records.line(), columns.features.size(),
        fmt::join(terms.input_shape(), ", "), format.features);
  }
  return columns;
}

// Spaces around a number are common and harmless.
std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The reason a number is refused, or nullptr. std::from_chars knows no locale.
const char* ReadByte(std::string_view text, char* out) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) {
    return "is not a whole number (feature-type is u8)";
  }
  if (error != std::errc() || value < 0 || value > 255)
    return "is outside 0-255 (feature-type is u8)";
  *out = static_cast<char>(value);
  return nullptr;
}

const char* ReadFloat(std::string_view text, char* out) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) {
    return "is not a number";
  }
  if (error != std::errc()) return "is beyond the range of numbers";
  // Rounded once more, to nearest, as numpy.float32(float(text)) does.
  const auto single = static_cast<float>(value);
  if (!std::isfinite(single)) return "is not a finite number (float32)";
  std::memcpy(out, &single, sizeof single);
  return nullptr;
}

std::string ClassList(const v1::DataTerms& terms) {
  std::string list;
  for (int i = 0; i < terms.classes_size() && i < 20; ++i) {
    list += fmt::format("{}{}", i == 0 ? "" : ", ", base::Quoted(terms.classes(i)));
  }
  if (terms.classes_size() > 20) list += fmt::format(", … ({} in all)", terms.classes_size());
  return list;
}

// The class that a label probably means, or "".
std::string SimilarClass(std::string_view label, const v1::DataTerms& terms) {
  for (const std::string& name : terms.classes()) {
    if (PlainName(name) != PlainName(label)) continue;
    return fmt::format("; write it as {}", base::Quoted(name));
  }
  return "";
}

StatusOr<ExamplesFile> ReadTable(ByteSource source, const v1::DataTerms& terms,
                                 const ReadOptions& options) {
  const std::string name = source.name();
  if (terms.csv_label_column().empty()) {
    return InvalidArgument(
        "{}: the campaign's terms name no csv-label-column, so it takes no CSV; give the data as "
        "pictures, .npy, .npz or IDX",
        name);
  }
  CsvRecords records(std::move(source));
  CT_ASSIGN_OR_RETURN(const std::vector<std::string> header, ReadHeader(&records));
  CT_ASSIGN_OR_RETURN(const Columns columns, FindColumns(header, terms, records));
  std::map<std::string_view, uint32_t> class_of;
  for (int i = 0; i < terms.classes_size(); ++i) {
    class_of.emplace(terms.classes(i), static_cast<uint32_t>(i));
  }

  CT_ASSIGN_OR_RETURN(ExamplesWriter writer, ExamplesWriter::InMemory(terms, name));
  const ExampleFormat format(terms);
  std::string features(format.feature_bytes(), '\0');
  std::vector<std::string> fields;
  while (options.limit == 0 || writer.count() < options.limit) {
    CT_ASSIGN_OR_RETURN(const bool more, records.Next(&fields, header.size()));
    if (!more) break;
    if (header.size() > 1 && fields.size() == 1 && fields[0].empty()) continue;  // a blank line
    if (fields.size() != header.size()) {
      return InvalidArgument("{}:{}: {} columns, but the header has {}", name, records.line(),
                             fields.size(), header.size());
    }
    const auto label = class_of.find(fields[columns.label]);
    if (label == class_of.end()) {
      return InvalidArgument("{}:{}: column {}: {} is none of the campaign's classes: {}{}", name,
                             records.line(), base::Quoted(header[columns.label]),
                             base::Quoted(fields[columns.label]), ClassList(terms),
                             SimilarClass(fields[columns.label], terms));
    }
    for (size_t i = 0; i < columns.features.size(); ++i) {
      const std::string& field = fields[columns.features[i]];
      char* out = features.data() + i * format.value_bytes;
      const char* reason =
          format.value_bytes == 4 ? ReadFloat(Trimmed(field), out) : ReadByte(Trimmed(field), out);
      if (reason != nullptr) {
        return InvalidArgument("{}:{}: column {}: {} {}", name, records.line(),
                               base::Quoted(header[columns.features[i]]), base::Quoted(field),
                               reason);
      }
    }
    CT_RETURN_IF_ERROR(writer.Append(label->second, features));
  }
  if (writer.count() == 0) {
    return InvalidArgument("{}:{}: no record after the header", name, records.line());
  }
  return std::move(writer).Finish();
}

}  // namespace

StatusOr<ExamplesFile> ReadCsv(const std::string& path, const v1::DataTerms& terms,
                               const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(ByteSource source, ByteSource::Open(path));
  return ReadTable(std::move(source), terms, options);
}

Status ListCsvColumns(const std::string& spec, v1::DataTerms* terms) {
  if (terms->csv_label_column().empty() || !terms->csv_feature_columns().empty()) {
    return OkStatus();
  }
  if (!IsCsv(spec)) {
    return InvalidArgument(
        "{} is no CSV file whose header could tell the order of the features: list them as "
        "csv-feature-columns",
        spec);
  }
  CT_ASSIGN_OR_RETURN(ByteSource source, ByteSource::Open(spec));
  CsvRecords records(std::move(source));
  CT_ASSIGN_OR_RETURN(const std::vector<std::string> names, ReadHeader(&records));
  const Header header(names, records);
  CT_RETURN_IF_ERROR(header.Find(terms->csv_label_column()).status());
  for (const std::string& name : names) {
    if (name == terms->csv_label_column()) continue;
    CT_RETURN_IF_ERROR(header.Find(name).status());
    terms->add_csv_feature_columns(name);
  }
  return OkStatus();
}

StatusOr<ExamplesFile> ParseCsv(std::string_view text, const std::string& name,
                                const v1::DataTerms& terms, const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(ByteSource source, ByteSource::FromMemory(text, name));
  return ReadTable(std::move(source), terms, options);
}

}  // namespace crowdteach::learning
