// ReadPictures: a folder of pictures by class.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "learning/data/picture.h"
#include "learning/data/readers.h"
#include "proto/base/bytes.h"
#include "proto/base/file.h"

namespace crowdteach::learning {
namespace {

namespace fs = std::filesystem;

// Calls `act` with every entry that is not hidden, in bytewise order of names.
template <typename F>
Status ForEachEntry(const fs::path& folder, F&& act) {
  std::error_code error;
  std::vector<fs::path> entries;
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().front() != '.') entries.push_back(it->path());
  }
  if (error) return ErrnoStatus(error.value(), folder.string());
  std::sort(entries.begin(), entries.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  for (const fs::path& entry : entries) CT_RETURN_IF_ERROR(act(entry));
  return OkStatus();
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool IsPictureName(const fs::path& path) {
  std::string end = path.extension().string();
  std::transform(end.begin(), end.end(), end.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; });
  return end == ".png" || end == ".jpg" || end == ".jpeg";
}

std::string FolderName(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

// Folder name → class.
StatusOr<std::map<std::string, uint32_t>> FolderNames(const v1::DataTerms& terms) {
  std::map<std::string, uint32_t> names;
  for (int i = 0; i < terms.classes_size(); ++i) {
    const auto [same, added] =
        names.emplace(FolderName(terms.classes(i)), static_cast<uint32_t>(i));
    if (added) continue;
    return InvalidArgument(
        "the folders of the classes {} and {} would both be called {}: give the pictures as .npz",
        base::Quoted(terms.classes(static_cast<int>(same->second))), base::Quoted(terms.classes(i)),
        base::Quoted(same->first));
  }
  return names;
}

std::string List(const std::map<std::string, uint32_t>& names) {
  constexpr size_t kMost = 20;
  std::string list;
  for (const auto& [name, label] : names) {
    if (label >= kMost) continue;
    list += fmt::format("{}{}", list.empty() ? "" : ", ", base::Quoted(name));
  }
  if (names.size() > kMost) list += fmt::format(", … ({} in all)", names.size());
  return list;
}

struct ClassFolder {
  uint32_t label = 0;
  std::vector<std::string> pictures;
};

Status AddPicture(const fs::path& path, ClassFolder* folder) {
  std::error_code error;
  if (IsPictureName(path) && fs::is_regular_file(path, error)) {
    folder->pictures.push_back(path.string());
    return OkStatus();
  }
  return InvalidArgument(
      "{}: not a .png, .jpg or .jpeg file; a class's folder holds nothing else: move it elsewhere",
      path.string());
}

StatusOr<std::vector<ClassFolder>> FindPictures(const std::string& root,
                                                const v1::DataTerms& terms) {
  CT_ASSIGN_OR_RETURN(const auto names, FolderNames(terms));
  std::vector<ClassFolder> folders;
  CT_RETURN_IF_ERROR(ForEachEntry(root, [&](const fs::path& entry) -> Status {
    if (!IsFolder(entry)) {
      if (!IsPictureName(entry)) return OkStatus();  // a licence, a list
      return InvalidArgument("{}: a picture outside the folders of the classes: {}", entry.string(),
                             List(names));
    }
    const auto found = names.find(entry.filename().string());
    if (found == names.end()) {
      return InvalidArgument("{}: the folder is none of the campaign's classes: {}", entry.string(),
                             List(names));
    }
    ClassFolder folder;
    folder.label = found->second;
    CT_RETURN_IF_ERROR(
        ForEachEntry(entry, [&](const fs::path& path) { return AddPicture(path, &folder); }));
    folders.push_back(std::move(folder));
    return OkStatus();
  }));
  return folders;
}

}  // namespace

bool HasFolders(const std::string& root) {
  bool found = false;
  ForEachEntry(root, [&](const fs::path& entry) {
    found = found || IsFolder(entry);
    return OkStatus();
  }).IgnoreError();
  return found;
}

StatusOr<ExamplesFile> ReadPictures(const std::string& root, const v1::DataTerms& terms,
                                    const ReadOptions& options) {
  const StatusOr<PictureShape> shape = PictureShapeOf(terms);
  if (!shape.ok()) return Annotate(shape.status(), root);
  CT_ASSIGN_OR_RETURN(const std::vector<ClassFolder> folders, FindPictures(root, terms));
  CT_ASSIGN_OR_RETURN(ExamplesWriter writer, ExamplesWriter::InMemory(terms, root));
  bool more = true;
  for (size_t i = 0; more; ++i) {
    more = false;
    for (const ClassFolder& folder : folders) {
      if (i >= folder.pictures.size()) continue;
      if (options.limit > 0 && writer.count() >= options.limit) break;
      more = true;
      const std::string& path = folder.pictures[i];
      CT_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(path, MaxPictureBytes(*shape)));
      CT_ASSIGN_OR_RETURN(const std::string features, DecodePicture(bytes, path, *shape));
      CT_RETURN_IF_ERROR(writer.Append(folder.label, features));
    }
  }
  if (writer.count() == 0) {
    return InvalidArgument("{}: no picture in the folders of the classes", root);
  }
  return std::move(writer).Finish();
}

}  // namespace crowdteach::learning
