#include "ledger/http_fetch.h"

#include <fcntl.h>
#include <httplib.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <string_view>

#include "ledger/file_io.h"
#include "proto/base/exit_codes.h"
#include "proto/base/protocol.h"

namespace crowdteach::ledger {
namespace {

using Clock = std::chrono::steady_clock;

constexpr time_t kConnectSeconds = 10;
constexpr time_t kSilenceSeconds = 30;

// What stops a download before its end, and the file it goes to.
struct Download {
  const FetchOptions& options;
  FileHandle file;
  Clock::time_point deadline;
  uint64_t bytes = 0;
  Status status;

  bool Take(std::string_view piece) {
    if (piece.size() > options.max_bytes - bytes) {
      status = FromPeer(ResourceExhausted("{}:{} sends more than {} bytes; see --max-bytes",
                                          options.host, options.port, options.max_bytes));
    } else if (Clock::now() > deadline) {
      status = FromPeer(DeadlineExceeded("{}:{} has sent {} bytes in {} ms; see --timeout",
                                         options.host, options.port, bytes, options.timeout_ms));
    } else {
      status = WriteAll(file, piece, options.output);
    }
    bytes += piece.size();
    return status.ok();
  }
};

Status Run(Download* download) {
  const FetchOptions& options = download->options;
  httplib::SSLClient client(options.host, options.port);
  client.enable_server_certificate_verification(false);
  client.set_connection_timeout(kConnectSeconds);
  client.set_read_timeout(kSilenceSeconds);
  client.set_write_timeout(kSilenceSeconds);
  const base::Speaker self{"crowdteach-audit " CROWDTEACH_VERSION};
  int code = 0;
  const httplib::Result result = client.Get(
      options.path, {{base::kProtocolHeader, base::FormatSpeaker(self)}},
      [&](const httplib::Response& response) {
        code = response.status;
        // A mirror of the files may say nothing: what it gives is proven, whoever gives it.
        const auto peer = base::ParseSpeaker(response.get_header_value(base::kProtocolHeader));
        if (peer) download->status = FromPeer(base::CheckCompatible(self, *peer));
        return code == 200 && download->status.ok();
      },
      [&](const char* bytes, size_t size) {
        return download->Take({bytes, size});
      });
  if (!download->status.ok()) return download->status;
  if (code != 0 && code != 200) {
    return FromPeer(FailedPrecondition("https://{}:{}{}: the server answers {}", options.host,
                                       options.port, options.path, code));
  }
  if (!result) {
    return FromPeer(
        Unavailable("https://{}:{}{}: no answer ({} error); is the coordinator running, and is "
                    "this its HTTPS port?",
                    options.host, options.port, options.path, httplib::to_string(result.error())));
  }
  return SyncFile(download->file, options.output);
}

}  // namespace

StatusOr<uint64_t> FetchToFile(const FetchOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  Download download{options, {}, Clock::now() + std::chrono::milliseconds(options.timeout_ms)};
  CT_ASSIGN_OR_RETURN(download.file, OpenFile(options.output, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  const Status status = Run(&download);
  if (status.ok()) return download.bytes;
  unlink(options.output.c_str());  // it may be gone already; the error to tell is `status`
  return status;
}

StatusOr<Address> ParseAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos) {
    std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    const bool whole = error == std::errc() && end == digits.data() + digits.size();
    const bool plain = bracketed || host.find_first_of(":[] /") == std::string_view::npos;
    if (whole && port != 0 && !host.empty() && plain) return Address{std::string(host), port};
  }
  return InvalidArgument(
      "\"{}\" is not an address: write HOST:PORT, like localhost:8443 or "
      "[::1]:8443",
      text.substr(0, 200));
}

}  // namespace crowdteach::ledger
