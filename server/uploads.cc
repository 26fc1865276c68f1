#include "server/uploads.h"

namespace crowdteach::server {

Status Uploads::Note(uint64_t account, const base::Hash& digest, uint64_t size_bytes,
                     uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (const auto blob = uploads_.find(digest); blob != uploads_.end()) {
    const auto own = blob->second.find(account);
    // Of another size it is another blob's digest, which the end of the upload will show.
    if (own != blob->second.end() && own->second.size_bytes >= size_bytes) {
      own->second.asked_ms = now_ms;
      return OkStatus();
    }
  }
  Sum& sum = sums_[account];
  if (sum.blobs >= limits_.blobs_of_account || size_bytes > limits_.bytes_of_account - sum.bytes) {
    return FailedPrecondition(
        "account {} has uploaded {} bytes in {} blobs that no campaign names yet, and this one has "
        "{}; at most {} bytes in {} blobs may wait: launch with them, or come back in a day, when "
        "what is not used is removed",
        account, sum.bytes, sum.blobs, size_bytes, limits_.bytes_of_account,
        limits_.blobs_of_account);
  }
  const auto [own, added] = uploads_[digest].try_emplace(account);
  Upload& upload = own->second;
  if (!added) Drop(account, upload);
  Sum& now = sums_[account];  // Drop may have removed it
  now.bytes += size_bytes;
  ++now.blobs;
  upload = {size_bytes, now_ms};
  return OkStatus();
}

void Uploads::Drop(uint64_t account, const Upload& upload) {
  const auto sum = sums_.find(account);
  sum->second.bytes -= upload.size_bytes;
  if (--sum->second.blobs == 0) sums_.erase(sum);
}

void Uploads::Named(const base::Hash& digest) {
  const std::lock_guard lock(mutex_);
  const auto blob = uploads_.find(digest);
  if (blob == uploads_.end()) return;
  for (const auto& [account, upload] : blob->second) Drop(account, upload);
  uploads_.erase(blob);
}

void Uploads::Expire(uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  for (auto& [digest, accounts] : uploads_) {
    std::erase_if(accounts, [&](const auto& own) {
      if (own.second.asked_ms + kUnnamedLifeMs > now_ms) return false;
      Drop(own.first, own.second);
      return true;
    });
  }
  std::erase_if(uploads_, [](const auto& blob) { return blob.second.empty(); });
}

bool Uploads::Knows(const base::Hash& digest) const {
  const std::lock_guard lock(mutex_);
  return uploads_.contains(digest);
}

}  // namespace crowdteach::server
