// A coordinator's HTTPS port, from the auditor's side. Nothing it says is believed: sizes, times
// and answers are bounded, redirects are not followed, and what is fetched is checked against a
// pinned log key or a digest afterwards.
//
// With an invite's CA the certificate is verified, under a fixed name whatever the address; without
// one any certificate is taken, which is enough for bundles and public blobs. Linked only into
// crowdteach-audit. Ignores SIGPIPE for the process, as OpenSSL writes to its socket without asking
// for that. Thread-safety: a client belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ledger/bundle.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

struct Address {
  std::string host;
  uint16_t port = 0;
};
// "localhost:8443", "[::1]:8443", with or without "https://" in front. kInvalidArgument.
StatusOr<Address> ParseAddress(std::string_view text);

struct HttpRequest {
  std::string path;         // "/bundle"
  std::string body;         // not empty: POST
  std::string token;        // of a session, in hex; empty: none
  uint64_t first_byte = 0;  // > 0: the rest from there on, a 206
  uint64_t max_bytes = uint64_t{1} << 20;
  uint64_t timeout_ms = 60'000;  // for all of it; connecting has 10 s, a silence 30 s
  // Told before the body of a 200 or 206 how long it says it is; not called if it does not say.
  std::function<Status(uint64_t bytes)> announced = nullptr;
};

struct HttpAnswer {
  int code = 0;
  std::string text;  // of another answer than 200 or 206: PrintableLine of its first 500 bytes
};
// A stranger's words, fit for a terminal: the first line, other bytes than printable ASCII as '?'.
std::string PrintableLine(std::string_view text);

class HttpsClient {
 public:
  struct Options {
    Address address;
    std::string ca_pem;       // empty: any certificate
    std::string server_name;  // in the certificate; with ca_pem
  };
  // From the peer: kUnavailable, the host's name is not known. Connects at the first request.
  static StatusOr<std::unique_ptr<HttpsClient>> Make(Options options);
  ~HttpsClient();

  // `take` gets the body of a 200 or 206. From the peer (FromPeer): kUnavailable (no connection, or
  // it broke), kDeadlineExceeded, kResourceExhausted (longer than max_bytes), kPermissionDenied
  // (not the CA's certificate). What `take` fails with.
  StatusOr<HttpAnswer> Send(const HttpRequest& request, const ByteSink& take);

  std::string url(const std::string& path) const;

 private:
  struct Impl;
  explicit HttpsClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The answer to a GET of `request` in the file `output`, written from its beginning and removed on
// error. Returns the bytes written, synced. As Send; another answer than 200 is
// kFailedPrecondition. Of our own: ErrnoStatus of `output`.
StatusOr<uint64_t> FetchToFile(HttpsClient* client, const HttpRequest& request,
                               const std::string& output,
                               const std::function<void(size_t more)>& progress = nullptr);

}  // namespace crowdteach::ledger
