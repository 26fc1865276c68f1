#include "proto/wire/certificates.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "proto/base/bytes.h"
#include "proto/base/file.h"

namespace crowdteach::wire {
namespace {

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
template <typename T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Deleter<T, Free>>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Certificate = Owned<X509, X509_free>;
using Extension = Owned<X509_EXTENSION, X509_EXTENSION_free>;
using Bio = Owned<BIO, BIO_free_all>;
using BigNumber = Owned<BIGNUM, BN_free>;

constexpr int64_t kDaySeconds = 86'400;
constexpr int64_t kCaDays = 7305;  // 20 years
constexpr int64_t kServerDays = 398;
constexpr size_t kMaxIdentityBytes = 64 << 10;

struct Pair {
  Key key;
  Certificate certificate;
};

Status OpenSslError(std::string_view what) {
  char text[256] = "no detail";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return Internal("OpenSSL cannot {}: {}", what, text);
}

Bio ReadOnlyBio(std::string_view bytes) {
  return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

std::string TakeText(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

StatusOr<std::string> PemOf(const Key& key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio ||
      PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslError("write a private key");
  }
  return TakeText(bio);
}

StatusOr<std::string> PemOf(const Certificate& certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate.get()) != 1) {
    return OpenSslError("write a certificate");
  }
  return TakeText(bio);
}

Status AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return OpenSslError("add a certificate extension");
  }
  return OkStatus();
}

struct Request {
  const char* common_name;
  int64_t begin_s;
  int64_t days;
};

// A certificate of `key` without issuer and extensions.
StatusOr<Certificate> Blank(const Request& request, const Key& key) {
  Certificate certificate(X509_new());
  std::string serial = base::RandomBytes(16);
  serial[0] = static_cast<char>((serial[0] & 0x3f) | 0x40);  // positive, 16 bytes long
  const BigNumber number(BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()),
                                   static_cast<int>(serial.size()), nullptr));
  X509_NAME* name = certificate ? X509_get_subject_name(certificate.get()) : nullptr;
  const auto* text = reinterpret_cast<const unsigned char*>(request.common_name);
  const time_t begin = static_cast<time_t>(request.begin_s);
  const bool made =
      name != nullptr && number && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), begin) != nullptr &&
      ASN1_TIME_adj(X509_getm_notAfter(certificate.get()), begin, static_cast<int>(request.days),
                    0) != nullptr &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
      X509_set_pubkey(certificate.get(), key.get()) == 1;
  if (!made) return OpenSslError("make a certificate");
  return certificate;
}

StatusOr<Pair> MakeCa(uint64_t now_ms) {
  Pair ca;
  ca.key.reset(EVP_EC_gen("P-256"));
  if (!ca.key) return OpenSslError("make a P-256 key");
  const int64_t begin_s = static_cast<int64_t>(now_ms / 1000) - kDaySeconds;
  CT_ASSIGN_OR_RETURN(ca.certificate, Blank({"crowdteach CA", begin_s, kCaDays}, ca.key));
  X509* raw = ca.certificate.get();
  if (X509_set_issuer_name(raw, X509_get_subject_name(raw)) != 1) {
    return OpenSslError("name a certificate's issuer");
  }
  CT_RETURN_IF_ERROR(AddExtension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  CT_RETURN_IF_ERROR(AddExtension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign"));
  CT_RETURN_IF_ERROR(AddExtension(raw, raw, NID_subject_key_identifier, "hash"));
  if (X509_sign(raw, ca.key.get(), EVP_sha256()) == 0) return OpenSslError("sign a certificate");
  return ca;
}

StatusOr<Pair> IssueServer(const Pair& ca, uint64_t now_ms) {
  Pair server;
  server.key.reset(EVP_EC_gen("P-256"));
  if (!server.key) return OpenSslError("make a P-256 key");
  const int64_t begin_s = static_cast<int64_t>(now_ms / 1000) - kDaySeconds;
  CT_ASSIGN_OR_RETURN(server.certificate, Blank({kServerName, begin_s, kServerDays}, server.key));
  X509* raw = server.certificate.get();
  X509* issuer = ca.certificate.get();
  if (X509_set_issuer_name(raw, X509_get_subject_name(issuer)) != 1) {
    return OpenSslError("name a certificate's issuer");
  }
  const std::string names = fmt::format("DNS:{}", kServerName);
  CT_RETURN_IF_ERROR(AddExtension(raw, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  CT_RETURN_IF_ERROR(AddExtension(raw, issuer, NID_key_usage, "critical,digitalSignature"));
  CT_RETURN_IF_ERROR(AddExtension(raw, issuer, NID_ext_key_usage, "serverAuth"));
  CT_RETURN_IF_ERROR(AddExtension(raw, issuer, NID_subject_alt_name, names.c_str()));
  CT_RETURN_IF_ERROR(AddExtension(raw, issuer, NID_subject_key_identifier, "hash"));
  CT_RETURN_IF_ERROR(AddExtension(raw, issuer, NID_authority_key_identifier, "keyid"));
  if (X509_sign(raw, ca.key.get(), EVP_sha256()) == 0) return OpenSslError("sign a certificate");
  return server;
}

StatusOr<Pair> ParsePair(std::string_view pem, const std::string& path) {
  Pair pair;
  pair.key.reset(PEM_read_bio_PrivateKey(ReadOnlyBio(pem).get(), nullptr, nullptr, nullptr));
  pair.certificate.reset(PEM_read_bio_X509(ReadOnlyBio(pem).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!pair.key || !pair.certificate) {
    return InvalidArgument(
        "{} does not hold a key and a certificate; restore it from a backup: every invite pins it",
        path);
  }
  if (X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("{}: key and certificate do not belong together; restore a backup",
                           path);
  }
  return pair;
}

StatusOr<Pair> LoadOrMakeCa(const std::string& path, uint64_t now_ms) {
  const StatusOr<std::string> pem = base::ReadFile(path, kMaxIdentityBytes);
  if (pem.ok()) {
    struct stat info = {};
    if (::stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot read " + path);
    if ((info.st_mode & 077) != 0) {
      return PermissionDenied("{} may be read by others; run chmod 600 on it", path);
    }
    return ParsePair(*pem, path);
  }
  if (!absl::IsNotFound(pem.status())) return pem.status();
  CT_ASSIGN_OR_RETURN(Pair ca, MakeCa(now_ms));
  CT_ASSIGN_OR_RETURN(const std::string key_pem, PemOf(ca.key));
  CT_ASSIGN_OR_RETURN(const std::string certificate_pem, PemOf(ca.certificate));
  CT_RETURN_IF_ERROR(base::WriteFileDurably(path, key_pem + certificate_pem, 0600));
  return ca;
}

}  // namespace

StatusOr<ServerIdentity> LoadOrCreateIdentity(const std::string& directory, uint64_t now_ms) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, "cannot create " + directory);
  }
  CT_ASSIGN_OR_RETURN(const Pair ca, LoadOrMakeCa(directory + "/ca.pem", now_ms));
  CT_ASSIGN_OR_RETURN(const Pair server, IssueServer(ca, now_ms));
  ServerIdentity identity;
  CT_ASSIGN_OR_RETURN(identity.ca_pem, PemOf(ca.certificate));
  CT_ASSIGN_OR_RETURN(const std::string server_pem, PemOf(server.certificate));
  CT_ASSIGN_OR_RETURN(identity.key_pem, PemOf(server.key));
  identity.chain_pem = server_pem + identity.ca_pem;
  identity.identity_path = directory + "/server.pem";
  CT_RETURN_IF_ERROR(
      base::WriteFileDurably(identity.identity_path, identity.key_pem + identity.chain_pem, 0600));
  return identity;
}

StatusOr<base::Hash> CaDigest(std::string_view ca_pem) {
  if (ca_pem.size() > kMaxIdentityBytes) return InvalidArgument("a CA certificate too long");
  const Bio bio = ReadOnlyBio(ca_pem);
  const Certificate first(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  const Certificate second(first ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)
                                 : nullptr);
  ERR_clear_error();
  if (!first || second) return InvalidArgument("the CA is not exactly one PEM certificate");
  unsigned char* der = nullptr;
  const int size = i2d_X509(first.get(), &der);
  if (size <= 0) return OpenSslError("encode a certificate");
  const base::Hash digest = base::Sha256Of(
      std::string_view(reinterpret_cast<const char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return digest;
}

}  // namespace crowdteach::wire
