#include "server/home.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

namespace crowdteach::server {
namespace {

constexpr std::array<const char*, 3> kKeyFiles = {"operator.key", "issuer.key", "log.key"};

}  // namespace

Status MakeHome(const std::string& home) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(home).parent_path(), error);
  if (mkdir(home.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(errno, home);
  struct stat info {};
  if (stat(home.c_str(), &info) != 0) return ErrnoStatus(errno, home);
  if (!S_ISDIR(info.st_mode)) return Unavailable("{} is not a directory", home);
  if ((info.st_mode & 077) != 0) {
    return PermissionDenied("{} holds secret keys but others may enter it; run: chmod 700 {}", home,
                            home);
  }
  return OkStatus();
}

std::string AccessLogPath(const std::string& home) { return home + "/accesses"; }

StatusOr<Keys> LoadOrMakeKeys(const std::string& home) {
  std::vector<std::string> paths;
  std::string missing;
  size_t present = 0;
  for (const char* name : kKeyFiles) {
    paths.push_back(home + "/" + name);
    if (std::filesystem::exists(paths.back())) {
      ++present;
    } else {
      missing += missing.empty() ? name : std::string(", ") + name;
    }
  }
  // Also when a first start was broken off between two of them: nothing is signed yet.
  if (!std::filesystem::exists(home + "/coordinator.db")) {
    for (const std::string& path : paths) {
      if (std::filesystem::exists(path)) continue;
      CT_RETURN_IF_ERROR(ledger::SigningKey::Generate().Save(path));
    }
    present = paths.size();
  }
  if (present != paths.size()) {
    return DataLoss(
        "{} lacks {}; the log cannot go on without its keys: restore them from a backup", home,
        missing);
  }
  CT_ASSIGN_OR_RETURN(auto operator_key, ledger::SigningKey::Load(paths[0]));
  CT_ASSIGN_OR_RETURN(auto issuer_key, ledger::SigningKey::Load(paths[1]));
  CT_ASSIGN_OR_RETURN(auto log_key, ledger::SigningKey::Load(paths[2]));
  return Keys{std::move(operator_key), std::move(issuer_key), std::move(log_key)};
}

}  // namespace crowdteach::server
