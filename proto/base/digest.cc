#include "proto/base/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::base {

std::string_view View(const Hash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}
std::string Bytes(const Hash& hash) { return std::string(View(hash)); }
std::string Hex(const Hash& hash) { return Hex(View(hash)); }

StatusOr<Hash> HashFromBytes(std::string_view bytes) {
  Hash hash;
  if (bytes.size() != hash.size())
    return InvalidArgument("a digest has 32 bytes, not {}", bytes.size());
  std::memcpy(hash.data(), bytes.data(), hash.size());
  return hash;
}

StatusOr<Hash> HashFromHex(std::string_view text) {
  CT_ASSIGN_OR_RETURN(const std::string bytes, ParseHex(text));
  return HashFromBytes(bytes);
}

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

namespace {

// Fetching the algorithm for every context would cost more than hashing a short entry.
const EVP_MD* Sha256Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

}  // namespace

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  CT_ASSERT(context_->evp != nullptr);
  CT_ASSERT(EVP_DigestInit_ex2(context_->evp, Sha256Algorithm(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::Update(std::string_view bytes) {
  CT_ASSERT(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1);
  return *this;
}

Hash Sha256::Finish() && {
  Hash hash;
  CT_ASSERT(EVP_DigestFinal_ex(context_->evp, hash.data(), nullptr) == 1);
  return hash;
}

Hash Sha256Of(std::string_view bytes) { return std::move(Sha256().Update(bytes)).Finish(); }

Hash LeafHash(std::string_view leaf) {
  Sha256 hasher;
  hasher.Update(std::string_view("\0", 1)).Update(leaf);
  return std::move(hasher).Finish();
}

Hash NodeHash(const Hash& left, const Hash& right) {
  Sha256 hasher;
  hasher.Update("\x01").Update(View(left)).Update(View(right));
  return std::move(hasher).Finish();
}

void RootBuilder::Append(const Hash& leaf_hash) {
  Hash node = leaf_hash;
  for (uint64_t carry = size_; carry & 1; carry >>= 1) {
    node = NodeHash(peaks_.back(), node);
    peaks_.pop_back();
  }
  peaks_.push_back(node);
  ++size_;
}

Hash RootBuilder::Root() const {
  if (peaks_.empty()) return Sha256Of("");
  Hash root = peaks_.back();
  for (size_t i = peaks_.size() - 1; i-- > 0;) root = NodeHash(peaks_[i], root);
  return root;
}

std::string_view BlobKindName(BlobKind kind) {
  switch (kind) {
    case BlobKind::kWeights:
      return "weights";
    case BlobKind::kUpdate:
      return "update";
    case BlobKind::kGradient:
      return "gradient";
    case BlobKind::kValidation:
      return "validation";
    case BlobKind::kCode:
      return "code";
    case BlobKind::kData:
      return "data";
  }
  CT_ASSERT(false);
  return "";
}

Hash BlobDigestOfRoot(BlobKind kind, uint64_t size_bytes, const Hash& chunk_root) {
  std::string head = fmt::format("crowdteach/v1/blob/{}\n", BlobKindName(kind));
  AppendU64(head, size_bytes);
  Sha256 hasher;
  hasher.Update(head).Update(View(chunk_root));
  return std::move(hasher).Finish();
}

BlobDigester::BlobDigester(BlobKind kind, uint64_t size_bytes)
    : kind_(kind), size_bytes_(size_bytes) {
  chunk_.Update(std::string_view("\0", 1));
}

void BlobDigester::Update(std::string_view bytes) {
  seen_bytes_ += bytes.size();
  while (!bytes.empty()) {
    const size_t take = std::min<size_t>(bytes.size(), kChunkBytes - in_chunk_bytes_);
    chunk_.Update(bytes.substr(0, take));
    in_chunk_bytes_ += take;
    bytes.remove_prefix(take);
    if (in_chunk_bytes_ == kChunkBytes) {
      root_.Append(std::move(chunk_).Finish());
      chunk_ = Sha256();
      chunk_.Update(std::string_view("\0", 1));
      in_chunk_bytes_ = 0;
    }
  }
}

StatusOr<Hash> BlobDigester::Finish() && {
  if (seen_bytes_ != size_bytes_) {
    return InvalidArgument("the {} has {} bytes, announced were {}", BlobKindName(kind_),
                           seen_bytes_, size_bytes_);
  }
  if (in_chunk_bytes_ > 0) root_.Append(std::move(chunk_).Finish());
  return BlobDigestOfRoot(kind_, size_bytes_, root_.Root());
}

Hash BlobDigest(BlobKind kind, std::string_view bytes) {
  BlobDigester digester(kind, bytes.size());
  digester.Update(bytes);
  return *std::move(digester).Finish();
}

StatusOr<Hash> BlobDigestOfFile(BlobKind kind, const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, path);
  struct stat info {};
  if (fstat(fd, &info) != 0) {
    const int error = errno;
    close(fd);
    return ErrnoStatus(error, path);
  }
  BlobDigester digester(kind, static_cast<uint64_t>(info.st_size));
  std::string buffer(kChunkBytes, '\0');
  ssize_t got = 0;
  while ((got = read(fd, buffer.data(), buffer.size())) > 0) {
    digester.Update({buffer.data(), static_cast<size_t>(got)});
  }
  const int error = errno;
  close(fd);
  if (got < 0) return ErrnoStatus(error, path);
  return std::move(digester).Finish();
}

}  // namespace crowdteach::base
