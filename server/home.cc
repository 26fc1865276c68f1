#include "server/home.h"

#include <array>
#include <filesystem>
#include <vector>

#include "proto/base/home_folder.h"

namespace crowdteach::server {
namespace {

constexpr std::array<const char*, 3> kKeyFiles = {"operator.key", "issuer.key", "log.key"};

}  // namespace

Status MakeHome(const std::string& home) {
  constexpr const char* kOurs[] = {"lock", "coordinator.db", "operator.key", "issuer.key",
                                   "log.key"};
  return base::MakeHome(home, kOurs);
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
