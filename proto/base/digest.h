// SHA-256, RFC 6962 node hashing, and the digests by which crowdteach names blobs.
//
// A blob (weights, an update, a gradient, a validation set) is named by
//   SHA-256("crowdteach/v1/blob/‹kind›\n" ‖ u64 size ‖ RFC 6962 root over its 1 MiB chunks),
// so that it is verified while it streams and resumed by chunk.
// Thread-safety: one hasher belongs to one thread; the free functions are pure.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"

namespace crowdteach::base {

inline constexpr size_t kChunkBytes = size_t{1} << 20;

// 32 bytes of SHA-256.
using Hash = std::array<uint8_t, 32>;

std::string_view View(const Hash& hash);
std::string Bytes(const Hash& hash);
std::string Hex(const Hash& hash);
// kInvalidArgument unless `bytes` are exactly 32.
StatusOr<Hash> HashFromBytes(std::string_view bytes);
// kInvalidArgument unless `text` is 64 lower-case hex digits.
StatusOr<Hash> HashFromHex(std::string_view text);

// Streaming SHA-256 (FIPS 180-4). Call Update any number of times, then Finish once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256& Update(std::string_view bytes);
  Hash Finish() &&;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Hash Sha256Of(std::string_view bytes);
Hash LeafHash(std::string_view leaf);                // SHA-256(0x00 ‖ leaf), RFC 6962 §2.1
Hash NodeHash(const Hash& left, const Hash& right);  // SHA-256(0x01 ‖ left ‖ right)

// The RFC 6962 root of leaves appended one by one, in O(log n) memory. Root of nothing = H("").
class RootBuilder {
 public:
  void Append(const Hash& leaf_hash);
  uint64_t size() const { return size_; }
  Hash Root() const;

 private:
  uint64_t size_ = 0;
  std::vector<Hash> peaks_;  // roots of the maximal perfect subtrees, widest first
};

enum class BlobKind { kWeights, kUpdate, kGradient, kValidation, kCode, kData };
std::string_view BlobKindName(BlobKind kind);  // "weights", "update", …

// The digest of a blob fed in pieces of any size. `size_bytes` is part of the digest and must be
// what is fed in all. Call Update any number of times, then Finish once.
class BlobDigester {
 public:
  BlobDigester(BlobKind kind, uint64_t size_bytes);
  void Update(std::string_view bytes);
  // kInvalidArgument: more or fewer bytes were fed than announced.
  StatusOr<Hash> Finish() &&;

 private:
  BlobKind kind_;
  uint64_t size_bytes_;
  uint64_t seen_bytes_ = 0;
  uint64_t in_chunk_bytes_ = 0;
  Sha256 chunk_;
  RootBuilder root_;
};

Hash BlobDigest(BlobKind kind, std::string_view bytes);
// The same from the leaf hashes of its chunks, in order.
Hash BlobDigestOfRoot(BlobKind kind, uint64_t size_bytes, const Hash& chunk_root);
// Reads the file once. kNotFound, kPermissionDenied, kUnavailable (read error).
StatusOr<Hash> BlobDigestOfFile(BlobKind kind, const std::string& path);

}  // namespace crowdteach::base
