#include "ledger/http_fetch.h"

#include <fcntl.h>
#include <httplib.h>
#include <netdb.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <string_view>
#include <utility>

#include "ledger/file_io.h"
#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"
#include "proto/base/protocol.h"

namespace crowdteach::ledger {
namespace {

using Clock = std::chrono::steady_clock;

constexpr time_t kConnectSeconds = 10;
constexpr time_t kSilenceSeconds = 30;
constexpr size_t kMaxTextBytes = 500;
const base::Speaker kSelf{"crowdteach-audit " CROWDTEACH_VERSION};

// The host's numeric addresses, in the resolver's order.
StatusOr<std::vector<std::string>> Resolve(const Address& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(address.host.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    return FromPeer(Unavailable("{}: {}", address.host, gai_strerror(error)));
  }
  std::vector<std::string> numbers;
  for (const addrinfo* item = found; item != nullptr; item = item->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(item->ai_addr, item->ai_addrlen, text, sizeof text, nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      numbers.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  if (numbers.empty()) return FromPeer(Unavailable("{} has no address", address.host));
  return numbers;
}

// A PEM text as a file, which is how the library wants it.
StatusOr<FileHandle> InMemory(const std::string& text) {
  FileHandle file(memfd_create("ca", MFD_CLOEXEC));
  if (file.fd() < 0) return ErrnoStatus(errno, "a file in memory");
  CT_RETURN_IF_ERROR(WriteAll(file, text, "a file in memory"));
  return file;
}

// One answer as it arrives.
struct Arriving {
  const HttpRequest& request;
  const ByteSink& take;
  std::string url;
  Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(request.timeout_ms);
  HttpAnswer answer;
  uint64_t bytes = 0;
  Status status;  // why we stopped

  void Begin(const httplib::Response& response) {
    answer.code = response.status;
    // A mirror of the files may say nothing: what it gives is proven, whoever gives it.
    const auto peer = base::ParseSpeaker(response.get_header_value(base::kProtocolHeader));
    if (peer) status = FromPeer(base::CheckCompatible(kSelf, *peer));
    if (!status.ok()) return;
    const std::string length = response.get_header_value("Content-Length");
    uint64_t announced = 0;
    const auto [end, error] =
        std::from_chars(length.data(), length.data() + length.size(), announced);
    const bool number = error == std::errc() && end == length.data() + length.size();
    if (number && request.announced && (answer.code == 200 || answer.code == 206)) {
      status = request.announced(announced);
    }
  }

  bool Take(std::string_view piece) {
    if (answer.code != 200 && answer.code != 206) {
      answer.text += piece.substr(0, kMaxTextBytes - answer.text.size());
      return answer.text.size() < kMaxTextBytes;
    }
    if (piece.size() > request.max_bytes - bytes) {
      status = FromPeer(ResourceExhausted("{} sends more than {} bytes; see --max-bytes", url,
                                          request.max_bytes));
    } else if (Clock::now() > deadline) {
      status = FromPeer(DeadlineExceeded("{} has sent {} bytes in {} ms; see --timeout", url, bytes,
                                         request.timeout_ms));
    } else {
      status = take(piece);
    }
    bytes += piece.size();
    return status.ok();
  }
};

// httplib::to_string says it differently in each version.
std::string_view InWords(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
      return "no connection";
    case httplib::Error::ConnectionTimeout:
      return "no connection in time";
    case httplib::Error::Read:
      return "nothing could be read";
    case httplib::Error::Write:
      return "nothing could be sent";
    case httplib::Error::SSLConnection:
      return "no TLS connection";
    default:
      return "the connection failed";
  }
}

}  // namespace

struct HttpsClient::Impl {
  Options options;
  FileHandle ca;                     // with options.ca_pem
  std::vector<std::string> numbers;  // addresses to try
  size_t current = 0;                // of them
  std::unique_ptr<httplib::SSLClient> client;

  void Open() {
    const bool verified = !options.ca_pem.empty();
    // Under the name that the certificate has, at the number that the address has.
    const std::string& name = verified ? options.server_name : numbers[current];
    client = std::make_unique<httplib::SSLClient>(name, options.address.port);
    if (verified) {
      client->set_hostname_addr_map({{name, numbers[current]}});
      client->set_ca_cert_path(fmt::format("/proc/self/fd/{}", ca.fd()));
    }
    client->enable_server_certificate_verification(verified);
    client->set_connection_timeout(kConnectSeconds);
    client->set_read_timeout(kSilenceSeconds);
    client->set_write_timeout(kSilenceSeconds);
    client->set_keep_alive(true);
    client->set_tcp_nodelay(true);
    client->set_follow_location(false);
    client->set_decompress(false);
  }

  // The library's word, once an address answers or all have failed.
  httplib::Error Send(const httplib::Request& request) {
    while (true) {
      const httplib::Result result = client->send(request);
      const httplib::Error error = result.error();
      const bool unanswered =
          error == httplib::Error::Connection || error == httplib::Error::ConnectionTimeout;
      if (!unanswered || current + 1 == numbers.size()) return error;
      ++current;
      Open();
    }
  }
};

HttpsClient::HttpsClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpsClient::~HttpsClient() = default;

StatusOr<std::unique_ptr<HttpsClient>> HttpsClient::Make(Options options) {
  std::signal(SIGPIPE, SIG_IGN);
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  CT_ASSIGN_OR_RETURN(impl->numbers, Resolve(impl->options.address));
  if (!impl->options.ca_pem.empty()) {
    CT_ASSIGN_OR_RETURN(impl->ca, InMemory(impl->options.ca_pem));
  }
  impl->Open();
  return std::unique_ptr<HttpsClient>(new HttpsClient(std::move(impl)));
}

std::string HttpsClient::url(const std::string& path) const {
  const Address& address = impl_->options.address;
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("https://{}{}{}:{}{}", v6 ? "[" : "", address.host, v6 ? "]" : "",
                     address.port, path);
}

StatusOr<HttpAnswer> HttpsClient::Send(const HttpRequest& request, const ByteSink& take) {
  Arriving arriving{request, take, url(request.path)};
  httplib::Request sent;
  sent.method = request.body.empty() ? "GET" : "POST";
  sent.path = request.path;
  sent.body = request.body;
  sent.set_header(base::kProtocolHeader, base::FormatSpeaker(kSelf));
  if (!request.token.empty()) sent.set_header("Authorization", "Bearer " + request.token);
  if (request.first_byte > 0)
    sent.set_header("Range", fmt::format("bytes={}-", request.first_byte));
  sent.response_handler = [&](const httplib::Response& response) {
    arriving.Begin(response);
    return arriving.status.ok();
  };
  sent.content_receiver = [&](const char* bytes, size_t size, uint64_t, uint64_t) {
    return arriving.Take({bytes, size});
  };
  const httplib::Error error = impl_->Send(sent);
  CT_RETURN_IF_ERROR(arriving.status);
  const int code = arriving.answer.code;
  if (code != 0 && code != 200 && code != 206) {
    return HttpAnswer{code, PrintableLine(arriving.answer.text)};
  }
  if (error == httplib::Error::Success) return std::move(arriving.answer);
  if (error == httplib::Error::SSLServerVerification) {
    return FromPeer(PermissionDenied(
        "{}: this is not the coordinator of the invite: its certificate is not signed by the "
        "invite's; ask the operator for a new invite",
        arriving.url));
  }
  return FromPeer(
      Unavailable("{}: {} ({}); is the coordinator running, and is this its HTTPS port?",
                  arriving.url, code == 0 ? "no answer" : "the answer broke off", InWords(error)));
}

std::string PrintableLine(std::string_view text) {
  return base::Printable(text.substr(0, text.find('\n')));
}

StatusOr<uint64_t> FetchToFile(HttpsClient* client, const HttpRequest& request,
                               const std::string& output,
                               const std::function<void(size_t more)>& progress) {
  CT_ASSIGN_OR_RETURN(const FileHandle file, OpenFile(output, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  uint64_t bytes = 0;
  const Status status = [&]() -> Status {
    CT_ASSIGN_OR_RETURN(const HttpAnswer answer, client->Send(request, [&](std::string_view piece) {
      bytes += piece.size();
      if (progress) progress(piece.size());
      return WriteAll(file, piece, output);
    }));
    if (answer.code != 200) {
      return FromPeer(
          FailedPrecondition("{}: the server answers {}", client->url(request.path), answer.code));
    }
    return SyncFile(file, output);
  }();
  if (status.ok()) return bytes;
  unlink(output.c_str());  // it may be gone already; the error to tell is `status`
  return status;
}

StatusOr<Address> ParseAddress(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  std::string_view rest = text;
  if (rest.starts_with(kScheme)) {
    rest.remove_prefix(kScheme.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);
  }
  const size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos) {
    std::string_view host = rest.substr(0, colon);
    const std::string_view digits = rest.substr(colon + 1);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    const bool whole = error == std::errc() && end == digits.data() + digits.size();
    const bool plain = bracketed || host.find_first_of(":[] /") == std::string_view::npos;
    if (whole && port != 0 && !host.empty() && plain) return Address{std::string(host), port};
  }
  return InvalidArgument(
      "\"{}\" is not an address: write HOST:PORT, like localhost:8443 or [::1]:8443, or "
      "https://HOST:PORT",
      text.substr(0, 200));
}

}  // namespace crowdteach::ledger
