// The coordinator's gRPC ports: teachers and owners over TLS, the operator over a Unix socket.
//
//   Listen → StartAdmin → … → destructor
//
// The destructor ends all calls and waits for them; the Coordinator must still live then.
// Thread-safety: for one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/base/status.h"
#include "proto/wire/certificates.h"
#include "proto/wire/invite.h"
#include "server/coordinator.h"
#include "server/rpc/admin_service.h"

namespace crowdteach::server {

class RpcServer {
 public:
  struct Options {
    wire::HostPort listen;               // port 0: any free one
    std::vector<std::string> advertise;  // what Hello tells clients to try
    std::function<uint64_t()> now_ms;    // empty: the wall clock
  };
  // kUnavailable: the address cannot be listened on.
  static StatusOr<std::unique_ptr<RpcServer>> Listen(Coordinator* coordinator,
                                                     const wire::ServerIdentity& identity,
                                                     Options options);
  ~RpcServer();

  uint16_t port() const;
  // Answers on ‹home›/admin.sock, mode 0600. kInvalidArgument: the path is too long for a socket.
  Status StartAdmin(const std::string& home, Advertised advertised);

 private:
  struct Impl;
  explicit RpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The path of the operator's socket. kInvalidArgument: too long for a socket (107 bytes).
StatusOr<std::string> AdminSocketPath(const std::string& home);

}  // namespace crowdteach::server
