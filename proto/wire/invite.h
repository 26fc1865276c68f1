// The invite file: what somebody needs to find a coordinator, to know that it is the right one, and
// to open an account. TOML text of at most 64 KiB:
//
//   version = 1
//   role = "teacher"
//   expires_ms = 1795000000000          # Unix time
//   addresses = ["203.0.113.5:7700"]    # gRPC: teachers and owners; tried in order
//   web_addresses = ["203.0.113.5:7701"]  # HTTPS: auditors
//   log_vkey = "…"                      # the log key, signed-note verifier form
//   invite = 2                          # index of the INVITE entry
//   token = "…"                         # Ed25519 seed, 64 hex digits: a secret
//   ca = """PEM"""                      # pinned certificate of the coordinator's own CA
//
// Whoever holds the file may use it up: callers store it with mode 0600.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/status.h"

namespace crowdteach::wire {

inline constexpr size_t kMaxInviteBytes = size_t{64} << 10;
inline constexpr size_t kMaxAddresses = 16;

struct Invite {
  v1::Role role = v1::ROLE_UNSPECIFIED;  // TEACHER, OWNER or AUDITOR
  uint64_t expires_ms = 0;
  std::vector<std::string> addresses;      // "host:port", "[v6]:port"; at least one
  std::vector<std::string> web_addresses;  // may be empty
  std::string log_vkey;
  uint64_t index = 0;      // of the INVITE entry
  std::string token_seed;  // 32 bytes
  std::string ca_pem;      // one certificate
};

std::string FormatInvite(const Invite& invite);

// kInvalidArgument, as "‹file›:‹line›: what is wrong": too long, not ASCII, not TOML, an unknown,
// missing or repeated key, a value of a wrong type or form. The certificate's and the vkey's inside
// are not looked at. `file` is only for messages.
StatusOr<Invite> ParseInvite(std::string_view text, std::string_view file);
// ReadFile, then ParseInvite.
StatusOr<Invite> ReadInvite(const std::string& path);

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
};
// "host:port" or "[v6]:port"; port 0 is allowed (listen anywhere). kInvalidArgument.
StatusOr<HostPort> ParseHostPort(std::string_view text);
std::string FormatHostPort(const HostPort& address);
// "0.0.0.0", "::" and other spellings of every address of this machine: good to listen on, but
// nobody can be sent there.
bool IsAnyAddress(const std::string& host);
// OK: an address others can be told. kInvalidArgument: not host:port, port 0, or any address.
Status CheckPublicAddress(std::string_view text);

// "teacher", "owner", "auditor" and back; kInvalidArgument lists them.
std::string_view RoleName(v1::Role role);
StatusOr<v1::Role> ParseRole(std::string_view name);

}  // namespace crowdteach::wire
