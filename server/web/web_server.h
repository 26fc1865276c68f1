// The auditors' HTTPS port. What it serves is checked against the log key, so its TLS need not be;
// it shows the same certificate as the gRPC port.
//
//   GET /vkey              the log's verifier key
//   GET /checkpoint        the last signed head (C2SP tlog-checkpoint)
//   GET /bundle            the whole log (ledger/FORMAT.md)
//   GET /artifact/‹hex›    a blob everybody may read by its campaign's terms
//
// At most 64 connections are served at a time. A client that does not read is dropped after ten
// seconds, one that reads slower than 16 KiB/s after half a minute. Thread-safety: for one thread.
// The Coordinator outlives it.
#pragma once

#include <cstdint>
#include <memory>

#include "proto/base/status.h"
#include "proto/wire/certificates.h"
#include "proto/wire/invite.h"
#include "server/coordinator.h"

namespace crowdteach::server {

class WebServer {
 public:
  // kUnavailable: the address cannot be listened on.
  static StatusOr<std::unique_ptr<WebServer>> Listen(Coordinator* coordinator,
                                                     const wire::ServerIdentity& identity,
                                                     const wire::HostPort& listen);
  ~WebServer();  // ends running requests
  uint16_t port() const;

 private:
  struct Impl;
  explicit WebServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace crowdteach::server
