#include "ledger/key_home.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "proto/base/home_folder.h"

namespace crowdteach::ledger {
namespace {

StatusOr<SigningKey> LoadOrMakeKey(const std::string& path) {
  if (!std::filesystem::exists(path)) CT_RETURN_IF_ERROR(SigningKey::Generate().Save(path));
  return SigningKey::Load(path);
}

constexpr int kLockTries = 20;
constexpr std::chrono::milliseconds kLockPause{50};

// Closed: another process has it.
StatusOr<FileHandle> TakeLock(const std::string& home) {
  CT_ASSIGN_OR_RETURN(FileHandle lock, OpenFile(home + "/lock", O_RDWR | O_CREAT, 0600));
  if (flock(lock.fd(), LOCK_EX | LOCK_NB) != 0) lock.Close();
  return lock;
}

}  // namespace

Status MakePrivateFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(errno, path);
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISDIR(info.st_mode)) return Unavailable("{} is not a directory", path);
  if ((info.st_mode & 077) == 0) return OkStatus();
  return PermissionDenied("{} holds a secret key but others may enter it; run: chmod 700 {}", path,
                          path);
}

StatusOr<KeyHome> KeyHome::Open(const std::string& path) {
  constexpr const char* kOurs[] = {"lock", "key"};
  CT_RETURN_IF_ERROR(base::MakeHome(path, kOurs));
  CT_ASSIGN_OR_RETURN(FileHandle lock, TakeLock(path));
  for (int i = 1; i < kLockTries && lock.fd() < 0; ++i) {
    std::this_thread::sleep_for(kLockPause);
    CT_ASSIGN_OR_RETURN(lock, TakeLock(path));
  }
  if (lock.fd() < 0) {
    return Unavailable(
        "another crowdteach is using {}; one key is one person: wait for it, "
        "or pass another --home",
        path);
  }
  CT_ASSIGN_OR_RETURN(SigningKey key, LoadOrMakeKey(path + "/key"));
  return KeyHome(path, std::move(lock), std::move(key));
}

StatusOr<KeyHome> KeyHome::Look(const std::string& path) {
  CT_ASSIGN_OR_RETURN(SigningKey key, SigningKey::Load(path + "/key"));
  CT_RETURN_IF_ERROR(MakePrivateFolder(path));  // it is there: only whether others may enter it
  return KeyHome(path, {}, std::move(key));
}

bool KeyHome::TryLock() {
  StatusOr<FileHandle> lock = TakeLock(path_);
  if (lock.ok()) lock_ = *std::move(lock);
  return locked();
}

}  // namespace crowdteach::ledger
