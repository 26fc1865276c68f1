// A disk that is full when a test says so: SQLite's writes give ENOSPC meanwhile.
//
// Uses SQLite's own hook for replacing system calls, for the whole process; the database then
// fails and recovers exactly as on a full file system.
#pragma once

#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "tests/support/catch.h"

namespace crowdteach::server {

class FullDisk {
 public:
  FullDisk() {
    sqlite3_vfs* const vfs = sqlite3_vfs_find(nullptr);
    int replaced = 0;
    const auto replace = [&](const char* call, auto* function) {
      const auto pointer = reinterpret_cast<sqlite3_syscall_ptr>(function);
      if (vfs->xSetSystemCall(vfs, call, pointer) == SQLITE_OK) ++replaced;
    };
    replace("write", Write);
    replace("pwrite", Pwrite);
    replace("pwrite64", Pwrite);
    REQUIRE(replaced >= 2);
    full = true;
  }
  ~FullDisk() { full = false; }  // space again; the calls then behave as the system's
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  static ssize_t Write(int fd, const void* bytes, size_t size) {
    return Fails() ? -1 : ::write(fd, bytes, size);
  }
  static ssize_t Pwrite(int fd, const void* bytes, size_t size, off_t offset) {
    return Fails() ? -1 : ::pwrite(fd, bytes, size, offset);
  }
  static bool Fails() {
    if (full) errno = ENOSPC;
    return full;
  }
  static inline std::atomic<bool> full{false};
};

}  // namespace crowdteach::server
