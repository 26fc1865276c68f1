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

// The files a spec stands for: a table, or images and labels.
struct Files {
  std::string table;
  std::string images;
  std::string labels;
};

StatusOr<Files> FindInFolder(const std::string& folder, const std::string& prefix) {
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
  return Files{{}, images, labels};
}

StatusOr<Files> Find(const std::string& spec) {
  if (IsFolder(spec)) return FindInFolder(spec, "train");
  if (Exists(spec)) {
    if (IsCsv(spec)) return Files{spec, {}, {}};
    return InvalidArgument(
        "{}: one file must be a .csv; IDX images and labels are given as IMAGES,LABELS or as the "
        "folder that holds them",
        spec);
  }
  if (const size_t comma = spec.find(','); comma != std::string::npos) {
    Files files{{}, spec.substr(0, comma), spec.substr(comma + 1)};
    for (const std::string& path : {files.images, files.labels}) {
      if (!Exists(path)) return NotFound("{}: no such file", path);
    }
    return files;
  }
  if (const size_t colon = spec.rfind(':'); colon != std::string::npos) {
    const std::string folder = spec.substr(0, colon);
    if (IsFolder(folder)) return FindInFolder(folder, spec.substr(colon + 1));
  }
  return NotFound(
      "{}: no such file or folder; data is a folder of IDX files (DIR or DIR:PREFIX), "
      "IMAGES,LABELS, "
      "or a .csv",
      spec);
}

}  // namespace

bool IsCsv(std::string_view spec) { return EndsWith(spec, ".csv") || EndsWith(spec, ".csv.gz"); }

Status CheckDataset(const std::string& spec) { return Find(spec).status(); }

StatusOr<ExamplesFile> ReadDataset(const std::string& spec, const v1::DataTerms& terms,
                                   const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(const Files files, Find(spec));
  if (!files.table.empty()) return ReadCsv(files.table, terms, options);
  return ReadIdx(files.images, files.labels, terms, options);
}

}  // namespace crowdteach::learning
