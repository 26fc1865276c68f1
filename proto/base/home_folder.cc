#include "proto/base/home_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace crowdteach::base {

Status MakeHome(const std::string& path, std::span<const char* const> ours) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(fs::absolute(path).parent_path(), error);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, "cannot make the home " + path);
  }
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISDIR(info.st_mode)) {
    return InvalidArgument("{} is a file; --home must be a folder, made if it is not there", path);
  }
  const bool known = std::any_of(ours.begin(), ours.end(), [&](const char* name) {
    return fs::exists(fs::path(path) / name, error);
  });
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (known || entry.path().filename() == "lost+found") continue;
    return InvalidArgument(
        "{} is a folder of something else (it has {} in it); let --home be a new folder", path,
        entry.path().filename().string());
  }
  if (error) return ErrnoStatus(error.value(), path);
  if ((info.st_mode & 077) == 0) return OkStatus();
  return PermissionDenied("{} is for secret keys but others may enter it; run: chmod 700 {}", path,
                          path);
}

}  // namespace crowdteach::base
