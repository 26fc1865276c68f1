#include "learning/data/readers.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

namespace crowdteach::learning {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kImages = "-images-idx3-ubyte";
constexpr std::string_view kLabels = "-labels-idx1-ubyte";

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool Exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool IsFolder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// The prefixes of image files in a folder, for a message.
std::set<std::string> Prefixes(const std::string& folder) {
  std::set<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const size_t at = name.find(kImages);
    if (at != std::string::npos) found.insert(name.substr(0, at));
  }
  return found;
}

StatusOr<ExamplesFile> ReadFolder(const std::string& folder, const std::string& prefix,
                                  const v1::DataTerms& terms, const ReadOptions& options) {
  const auto find = [&](std::string_view kind) -> StatusOr<std::string> {
    const std::string plain = (fs::path(folder) / fmt::format("{}{}", prefix, kind)).string();
    for (const std::string& path : {plain, plain + ".gz"}) {
      if (Exists(path)) return path;
    }
    const std::set<std::string> prefixes = Prefixes(folder);
    return NotFound("{}: no {}{}[.gz] in it; image files there: {}", folder, prefix, kind,
                    prefixes.empty() ? "none" : fmt::format("{}", fmt::join(prefixes, ", ")));
  };
  CT_ASSIGN_OR_RETURN(const std::string images, find(kImages));
  CT_ASSIGN_OR_RETURN(const std::string labels, find(kLabels));
  return ReadIdx(images, labels, terms, options);
}

}  // namespace

bool IsCsv(std::string_view spec) { return EndsWith(spec, ".csv") || EndsWith(spec, ".csv.gz"); }

StatusOr<ExamplesFile> ReadDataset(const std::string& spec, const v1::DataTerms& terms,
                                   const ReadOptions& options) {
  if (IsFolder(spec)) return ReadFolder(spec, "train", terms, options);
  if (IsCsv(spec)) return ReadCsv(spec, terms, options);
  if (Exists(spec)) {
    return InvalidArgument(
        "{}: one file must be a .csv; IDX images and labels are given as IMAGES,LABELS or as the "
        "folder that holds them",
        spec);
  }
  if (const size_t comma = spec.find(','); comma != std::string::npos) {
    return ReadIdx(spec.substr(0, comma), spec.substr(comma + 1), terms, options);
  }
  if (const size_t colon = spec.rfind(':'); colon != std::string::npos) {
    const std::string folder = spec.substr(0, colon);
    if (IsFolder(folder)) return ReadFolder(folder, spec.substr(colon + 1), terms, options);
  }
  return NotFound(
      "{}: no such file or folder; data is a folder of IDX files (DIR or DIR:PREFIX), "
      "IMAGES,LABELS, "
      "or a .csv",
      spec);
}

}  // namespace crowdteach::learning
