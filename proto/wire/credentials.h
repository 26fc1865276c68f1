// TLS and connection settings of both ends.
//
// The client trusts one root, the CA certificate of its invite, and expects the fixed server name.
// Keepalive: the client pings every 30 s, the server allows every 20 s (with gRPC's defaults a
// pinging client is dismissed as too_many_pings); the server pings every 30 s, too. Messages are at
// most 2 MiB.
// Thread-safety: pure functions; a channel may be used by any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "proto/base/status.h"
#include "proto/wire/certificates.h"

namespace crowdteach::wire {

inline constexpr int kMaxMessageBytes = 2 << 20;
inline constexpr int kKeepaliveMs = 30'000;
inline constexpr int kMinPingIntervalMs = 20'000;
inline constexpr int kMaxStreamsPerConnection = 64;

std::shared_ptr<grpc::ServerCredentials> ServerCredentials(const ServerIdentity& identity);
void ApplyServerSettings(grpc::ServerBuilder& builder);

// A channel to `address` ("host:port"). Connecting happens at the first call; a server that cannot
// show a certificate of this CA gives kUnavailable there.
std::shared_ptr<grpc::Channel> PinnedChannel(const std::string& address, const std::string& ca_pem);
// A channel to the Unix socket at `path` (operator commands).
std::shared_ptr<grpc::Channel> UnixChannel(const std::string& path);

// Raises the soft limit of open files to the hard one: a connection takes one. Returns the limit.
StatusOr<uint64_t> RaiseFileLimit();

}  // namespace crowdteach::wire
