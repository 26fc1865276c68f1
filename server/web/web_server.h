// The auditors' HTTPS port. Bundles and checkpoints are checked against the log key, so its TLS
// need not be; a session is opened only over a connection whose certificate was (it is the gRPC
// port's).
//
//   GET /vkey              the log's verifier key
//   GET /checkpoint        the last signed head (C2SP tlog-checkpoint)
//   GET /bundle            the whole log (ledger/FORMAT.md)
//   GET /artifact/‹hex›    a blob, or one range of it, as its campaign's terms let the caller read;
//                          recorded (server/access_log.h). Without a session: what all may read
//   POST /hello /session   Hello and OpenSession of coordinator.proto: encoded messages both ways.
//   The
//                          token travels as `authorization: Bearer ‹hex›`; it is of this port only
//   POST /submit           Submit, of an ACCOUNT_OPEN only
//
// Refusals are text: 400 malformed, 401 no session, 403 not this caller's, 404 not there, 409 not
// now, 416 no such range, 429 too much, 503 try again.
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
