// The coordinator's own certificate authority: one P-256 CA made on first start and pinned by every
// invite, and the server's certificate under one fixed name, issued anew at each start. So
// addresses may change, and no public CA is involved. P-256, as BoringSSL clients refuse Ed25519
// here.
//
// Thread-safety: pure functions; one process at a time owns a directory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::wire {

// The name (SAN dNSName) in every server certificate, whatever the address.
inline constexpr char kServerName[] = "crowdteach-coordinator";

struct ServerIdentity {
  std::string ca_pem;         // the certificate clients pin
  std::string chain_pem;      // the server's certificate, then the CA's
  std::string key_pem;        // the server's private key: a secret
  std::string identity_path;  // file with key_pem and chain_pem, for servers that want one
};

// Makes or loads ‹directory›/ca.pem (key and certificate, mode 0600, 20 years) and issues
// ‹directory›/server.pem (398 days); the directory itself is made with mode 0700. Both certificates
// begin a day before `now_ms`, for clients whose clock is slow. kInvalidArgument: ca.pem is not
// what this function writes, or its key and certificate do not belong together; kPermissionDenied:
// others may read it; file errors.
StatusOr<ServerIdentity> LoadOrCreateIdentity(const std::string& directory, uint64_t now_ms);

// SHA-256 of the certificate's DER: what a session claim is bound to. kInvalidArgument: not exactly
// one PEM certificate.
StatusOr<base::Hash> CaDigest(std::string_view ca_pem);

}  // namespace crowdteach::wire
