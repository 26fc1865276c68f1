// A person's private folder: mode 0700, one Ed25519 key (file `key`), one process at a time (file
// `lock`). client/home.h and the auditor keep what else they need in it. Movable; not thread-safe.
#pragma once

#include <string>
#include <utility>

#include "ledger/file_io.h"
#include "ledger/signature.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

class KeyHome {
 public:
  // Makes folder and key if need be. kUnavailable: another process uses it, or it is no folder.
  // kPermissionDenied: others may enter it. File errors.
  static StatusOr<KeyHome> Open(const std::string& path);
  // Without the lock, beside whoever has it. kNotFound: there is no key in it.
  // kPermissionDenied: others may enter it.
  static StatusOr<KeyHome> Look(const std::string& path);

  bool locked() const { return lock_.fd() >= 0; }
  // For a moment, if nobody has it; Open waits a second for those.
  bool TryLock();
  void Unlock() { lock_.Close(); }

  const std::string& path() const { return path_; }
  const SigningKey& key() const { return key_; }

 private:
  KeyHome(std::string path, FileHandle lock, SigningKey key)
      : path_(std::move(path)), lock_(std::move(lock)), key_(std::move(key)) {}
  std::string path_;
  FileHandle lock_;  // closed: not ours; the kernel releases it, whatever our end
  SigningKey key_;
};

// Makes a folder of mode 0700. kUnavailable: something else is there. kPermissionDenied: others may
// enter it; says how to mend that.
Status MakePrivateFolder(const std::string& path);

}  // namespace crowdteach::ledger
