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

// `end` in small letters; "X.CSV" ends with ".csv".
bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         std::equal(
             end.begin(), end.end(), text.end() - static_cast<ptrdiff_t>(end.size()),
             [](char e, char c) { return e == c || (c >= 'A' && c <= 'Z' && e == (c | 0x20)); });
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

enum class Kind { kIdx, kCsv, kNpy, kNpz, kPictures };

// The files a spec stands for.
struct Files {
  Kind kind = Kind::kIdx;
  std::string path;    // features, or all there is
  std::string labels;  // kIdx, kNpy
  std::string part;    // kNpz
};

StatusOr<Files> FindIdx(const std::string& folder, const std::string& prefix) {
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
  return Files{Kind::kIdx, images, labels};
}

StatusOr<Files> FindInFolder(const std::string& folder) {
  if (!HasFolders(folder)) return FindIdx(folder, "train");
  const std::set<std::string> prefixes = Prefixes(folder);
  if (prefixes.empty()) return Files{Kind::kPictures, folder};
  return InvalidArgument(
      "{}: both IDX files and folders are in it; say {}:{} for the IDX files, or move them away "
      "from "
      "the folders of pictures",
      folder, folder, *prefixes.begin());
}

bool IsNpz(std::string_view path) { return EndsWith(path, ".npz"); }
bool IsNpy(std::string_view path) { return EndsWith(path, ".npy") || EndsWith(path, ".npy.gz"); }

StatusOr<Files> FindPair(const std::string& features, const std::string& labels) {
  if (features.empty() || labels.empty()) {
    return InvalidArgument("{},{}: two files are needed, FEATURES,LABELS", features, labels);
  }
  for (const std::string& path : {features, labels}) {
    if (!Exists(path)) return NotFound("{}: no such file", path);
  }
  if (IsNpy(features) == IsNpy(labels)) {
    return Files{IsNpy(features) ? Kind::kNpy : Kind::kIdx, features, labels};
  }
  return InvalidArgument("{},{}: one is a .npy file and the other is not", features, labels);
}

StatusOr<Files> Find(const std::string& spec) {
  if (IsFolder(spec)) return FindInFolder(spec);
  if (Exists(spec)) {
    if (IsCsv(spec)) return Files{Kind::kCsv, spec};
    if (IsNpz(spec)) return Files{Kind::kNpz, spec};
    return InvalidArgument(
        "{}: one file must be a .csv or .npz; features and labels in files of their own (.npy, "
        "IDX) "
        "are given as FEATURES,LABELS",
        spec);
  }
  if (const size_t comma = spec.find(','); comma != std::string::npos) {
    return FindPair(spec.substr(0, comma), spec.substr(comma + 1));
  }
  if (const size_t colon = spec.rfind(':'); colon != std::string::npos) {
    const std::string path = spec.substr(0, colon);
    const std::string rest = spec.substr(colon + 1);
    if (IsFolder(path)) return FindIdx(path, rest);
    if (IsNpz(path) && Exists(path)) return Files{Kind::kNpz, path, {}, rest};
  }
  return NotFound("{}: no such file or folder; data is {}", spec, kDatasetHelp);
}

}  // namespace

bool IsCsv(std::string_view spec) { return EndsWith(spec, ".csv") || EndsWith(spec, ".csv.gz"); }

Status CheckDataset(const std::string& spec) { return Find(spec).status(); }

StatusOr<ExamplesFile> ReadDataset(const std::string& spec, const v1::DataTerms& terms,
                                   const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(const Files files, Find(spec));
  switch (files.kind) {
    case Kind::kIdx:
      return ReadIdx(files.path, files.labels, terms, options);
    case Kind::kCsv:
      return ReadCsv(files.path, terms, options);
    case Kind::kNpy:
      return ReadNpy(files.path, files.labels, terms, options);
    case Kind::kNpz:
      return ReadNpz(files.path, files.part, terms, options);
    case Kind::kPictures:
      break;
  }
  return ReadPictures(files.path, terms, options);
}

}  // namespace crowdteach::learning
