// Uploads that no campaign names yet: how much of it one account may leave with the coordinator,
// and what is still fresh.
//
// Kept in memory only. After a restart nobody is charged for what lies there already; it goes by
// the age of its file. Times are the wall clock's. Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "server/access.h"

namespace crowdteach::server {

// What nobody has asked about for so long is swept away.
inline constexpr uint64_t kUnnamedLifeMs = uint64_t{24} * 3'600'000;

class Uploads {
 public:
  struct Limits {
    uint64_t bytes_of_account = 2 * kMaxOwnerBlobBytes;
    size_t blobs_of_account = 256;
  };
  explicit Uploads(Limits limits) : limits_(limits) {}

  // `account` is about to upload this blob, or asks how far it is. kFailedPrecondition: it has left
  // too much already.
  Status Note(uint64_t account, const base::Hash& digest, uint64_t size_bytes, uint64_t now_ms);
  // A campaign names it now.
  void Named(const base::Hash& digest);
  // Forgets what is no longer fresh.
  void Expire(uint64_t now_ms);
  // Noted, and neither named nor forgotten since.
  bool Knows(const base::Hash& digest) const;

 private:
  struct Upload {
    uint64_t size_bytes = 0;
    uint64_t asked_ms = 0;
  };
  const Limits limits_;
  mutable std::mutex mutex_;
  std::map<base::Hash, std::map<uint64_t, Upload>> uploads_;  // by digest, then account
  struct Sum {
    uint64_t bytes = 0;
    size_t blobs = 0;
  };
  std::map<uint64_t, Sum> sums_;  // by account
  void Drop(uint64_t account, const Upload& upload);
};

}  // namespace crowdteach::server
