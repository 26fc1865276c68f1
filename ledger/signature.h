// Ed25519 keys (RFC 8032) and DSSE signatures (Dead Simple Signing Envelope v1).
//
// A key never leaves this header's types but as its 32-byte seed, which callers store with mode
// 0600. Thread-safety: keys are immutable; any thread may sign and verify with them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::ledger {

// DSSE payload types, one a kind of signed message.
inline constexpr std::string_view kIntentType = "application/vnd.crowdteach.intent.v1+protobuf";
inline constexpr std::string_view kTokenType = "application/vnd.crowdteach.token.v1+protobuf";
inline constexpr std::string_view kStatementType =
    "application/vnd.crowdteach.statement.v1+protobuf";
inline constexpr std::string_view kSessionType = "application/vnd.crowdteach.session.v1+protobuf";

// DSSE's pre-authentication encoding:
// "DSSEv1" SP len(type) SP type SP len(payload) SP payload.
std::string DssePreAuthentication(std::string_view type, std::string_view payload);

class SigningKey {
 public:
  static SigningKey Generate();
  // kInvalidArgument unless `seed` is 32 bytes.
  static StatusOr<SigningKey> FromSeed(std::string_view seed);
  // kNotFound, kPermissionDenied (also: readable by others), kInvalidArgument. The file holds the
  // seed as 64 hex digits and a newline.
  static StatusOr<SigningKey> Load(const std::string& path);
  // Creates the file with mode 0600, durably; kAlreadyExists if it is there.
  Status Save(const std::string& path) const;

  const std::string& public_key() const { return public_key_; }  // 32 bytes
  const std::string& seed() const { return seed_; }              // 32 bytes, secret
  std::string Sign(std::string_view message) const;              // 64 bytes
  std::string SignDsse(std::string_view type, std::string_view payload) const;

 private:
  struct Key;  // OpenSSL's
  SigningKey(std::string seed, std::string public_key, std::shared_ptr<const Key> key);
  std::string seed_;
  std::string public_key_;
  std::shared_ptr<const Key> key_;
};

// False also for keys and signatures of a wrong length.
bool Verify(std::string_view public_key, std::string_view message, std::string_view signature);
bool VerifyDsse(std::string_view public_key, std::string_view type, std::string_view payload,
                std::string_view signature);

}  // namespace crowdteach::ledger
