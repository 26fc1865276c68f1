// TLS and connection settings of both ends.
//
// The client trusts one root, the CA certificate of its invite, and expects the fixed server name.
// Keepalive: each end pings when it has heard nothing for 30 s and gives the answer a minute; the
// server allows a ping every 20 s (with gRPC's defaults a pinging client is dismissed as
// too_many_pings). A ping waits behind what was sent before it, so the minute and the window bound
// how slow a link may be: some 24 kB/s. Messages are at most 2 MiB.
// Thread-safety: pure functions; a channel may be used by any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "proto/base/protocol.h"
#include "proto/base/status.h"
#include "proto/wire/certificates.h"

namespace crowdteach::wire {

inline constexpr int kMaxMessageBytes = 2 << 20;
inline constexpr int kKeepaliveMs = 30'000;
inline constexpr int kKeepaliveTimeoutMs = 60'000;
inline constexpr int kMinPingIntervalMs = 20'000;
// What may be under way to one stream, or the message it waits for, if that is larger. gRPC's own
// estimate grows with a slow link's queues until pings take too long.
inline constexpr int kWindowBytes = 256 << 10;
inline constexpr int kConnectTimeoutMs = 10'000;  // of one address of a name
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
