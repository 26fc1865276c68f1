#include "ledger/signature.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "ledger/file_io.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

constexpr size_t kSeedBytes = 32;
constexpr size_t kKeyBytes = 32;
constexpr size_t kSignatureBytes = 64;

const unsigned char* Data(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

struct KeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, KeyDeleter>;
using ContextPointer = std::unique_ptr<EVP_MD_CTX, KeyDeleter>;

// A failed verification must leave nothing in OpenSSL's per-thread error queue, where a TLS
// connection on the same thread would take it for its own error.
class QuietErrors {
 public:
  QuietErrors() { ERR_set_mark(); }
  ~QuietErrors() { ERR_pop_to_mark(); }
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;
};

}  // namespace

struct SigningKey::Key {
  KeyPointer evp;
};

SigningKey::SigningKey(std::string seed, std::string public_key, std::shared_ptr<const Key> key)
    : seed_(std::move(seed)), public_key_(std::move(public_key)), key_(std::move(key)) {}

std::string DssePreAuthentication(std::string_view type, std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} {}", type.size(), type, payload.size(), payload);
}

SigningKey SigningKey::Generate() { return *FromSeed(base::RandomBytes(kSeedBytes)); }

StatusOr<SigningKey> SigningKey::FromSeed(std::string_view seed) {
  if (seed.size() != kSeedBytes) {
    return InvalidArgument("an Ed25519 seed has {} bytes, not {}", kSeedBytes, seed.size());
  }
  auto key = std::make_shared<Key>();
  key->evp.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, Data(seed), seed.size()));
  CT_ASSERT(key->evp != nullptr);
  std::string public_key(kKeyBytes, '\0');
  size_t size = public_key.size();
  CT_ASSERT(EVP_PKEY_get_raw_public_key(
                key->evp.get(), reinterpret_cast<unsigned char*>(public_key.data()), &size) == 1);
  CT_ASSERT(size == kKeyBytes);
  return SigningKey(std::string(seed), std::move(public_key), std::move(key));
}

StatusOr<SigningKey> SigningKey::Load(const std::string& path) {
  StatusOr<FileHandle> file = OpenFile(path, O_RDONLY);
  if (!file.ok()) return Annotate(file.status(), "key file");
  struct stat info {};
  if (fstat(file->fd(), &info) != 0) return ErrnoStatus(errno, fmt::format("key file {}", path));
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return PermissionDenied(
        "key file {} can be read or written by others (mode {:03o}): chmod 600 it, and if others "
        "may have read it, stop using it",
        path, info.st_mode & 0777);
  }
  StatusOr<std::string> text = ReadFile(*file, path, 2 * kSeedBytes + 1);
  if (!text.ok()) return Annotate(text.status(), "key file");
  StatusOr<std::string> seed = InvalidArgument("");
  if (text->size() == 2 * kSeedBytes + 1 && text->back() == '\n') {
    seed = base::ParseHex(std::string_view(*text).substr(0, 2 * kSeedBytes));
  }
  OPENSSL_cleanse(text->data(), text->size());
  if (!seed.ok()) {
    return InvalidArgument("key file {} does not hold {} lower-case hex digits and a newline", path,
                           2 * kSeedBytes);
  }
  return FromSeed(*seed);
}

Status SigningKey::Save(const std::string& path) const {
  std::string text = base::Hex(seed_) + "\n";
  StatusOr<FileHandle> file = OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!file.ok()) return Annotate(file.status(), "key file");
  Status written = WriteAll(*file, text, path);
  if (written.ok()) written = SyncFile(*file, path);
  if (written.ok()) written = SyncParentOf(path);
  OPENSSL_cleanse(text.data(), text.size());
  if (!written.ok()) {
    unlink(path.c_str());  // half a key must not look like a key at the next start
    return Annotate(written, "key file");
  }
  return OkStatus();
}

std::string SigningKey::Sign(std::string_view message) const {
  const ContextPointer context(EVP_MD_CTX_new());
  std::string signature(kSignatureBytes, '\0');
  size_t size = signature.size();
  CT_ASSERT(context != nullptr);
  CT_ASSERT(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_->evp.get()) == 1);
  CT_ASSERT(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                           Data(message), message.size()) == 1);
  CT_ASSERT(size == kSignatureBytes);
  return signature;
}

std::string SigningKey::SignDsse(std::string_view type, std::string_view payload) const {
  return Sign(DssePreAuthentication(type, payload));
}

bool Verify(std::string_view public_key, std::string_view message, std::string_view signature) {
  if (public_key.size() != kKeyBytes || signature.size() != kSignatureBytes) return false;
  const QuietErrors quiet;
  const KeyPointer key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Data(public_key), public_key.size()));
  if (key == nullptr) return false;
  const ContextPointer context(EVP_MD_CTX_new());
  CT_ASSERT(context != nullptr);
  return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), Data(signature), signature.size(), Data(message),
                          message.size()) == 1;
}

bool VerifyDsse(std::string_view public_key, std::string_view type, std::string_view payload,
                std::string_view signature) {
  return Verify(public_key, DssePreAuthentication(type, payload), signature);
}

}  // namespace crowdteach::ledger
