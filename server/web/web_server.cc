#include "server/web/web_server.h"

#include <httplib.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ledger/file_io.h"
#include "proto/base/bytes.h"
#include "proto/base/digest.h"
#include "proto/base/protocol.h"
#include "server/access.h"
#include "server/rpc/handshake.h"
#include "server/rpc/sessions.h"

namespace crowdteach::server {
namespace {

constexpr size_t kThreads = 64;
constexpr time_t kReadTimeoutS = 5;
constexpr time_t kWriteTimeoutS = 10;
constexpr uint64_t kGraceMs = 30'000;
constexpr uint64_t kBytesPerMs = 16;
constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kProtobuf[] = "application/x-protobuf";
constexpr char kBytes[] = "application/octet-stream";
constexpr size_t kMaxRequestBytes = 4096;  // an ACCOUNT_OPEN has a tenth of it

uint64_t WallClockMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

// What the handlers share.
struct Web {
  Coordinator* coordinator;
  base::Hash ca_digest;
  Sessions sessions;  // apart from the gRPC port's
};

// Of one answer: a reader that takes a little now and then must not hold a thread for ever.
class Pace {
 public:
  // `size` more bytes have gone out. False: too slow.
  bool Sent(size_t size) {
    using std::chrono::milliseconds;
    sent_ += size;
    const auto allowed = milliseconds(kGraceMs + sent_ / kBytesPerMs);
    return std::chrono::steady_clock::now() - begun_ < allowed;
  }

 private:
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  uint64_t sent_ = 0;
};

int CodeOf(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kOutOfRange:
      return 416;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

void Fail(httplib::Response& response, const Status& status) {
  response.status = CodeOf(status);
  response.set_content(Message(status) + "\n", kText);
}

// A POST whose body and answer are messages.
template <typename Request, typename F>
void Answer(const httplib::Request& from, httplib::Response& response, F&& handler) {
  Request request;
  if (!request.ParseFromString(from.body)) {
    return Fail(response, InvalidArgument("the body is not a {}", request.GetTypeName()));
  }
  const auto reply = handler(request);
  if (!reply.ok()) return Fail(response, reply.status());
  response.set_content(reply->SerializeAsString(), kProtobuf);
}

// Who asks: nobody in particular without an `authorization: Bearer ‹hex›`. kUnauthenticated.
StatusOr<std::optional<uint64_t>> CallerOf(Web* web, const httplib::Request& request) {
  constexpr std::string_view kPrefix = "Bearer ";
  if (!request.has_header("authorization")) return std::optional<uint64_t>();
  const std::string value = request.get_header_value("authorization");
  StatusOr<std::string> token = std::string();
  if (value.starts_with(kPrefix)) token = base::ParseHex(value.substr(kPrefix.size()));
  const auto account = token.ok() ? web->sessions.AccountOf(*token, WallClockMs()) : std::nullopt;
  if (!account) return Unauthenticated("the session is unknown or over: open a new one");
  return account;
}

// Only an account is opened here; everything else that is said goes to the gRPC port.
StatusOr<v1::SubmitReply> SubmitNow(Coordinator* coordinator, const v1::SubmitRequest& request) {
  CT_ASSIGN_OR_RETURN(const v1::Intent intent, OpenIntent(request));
  if (!intent.has_account_open()) {
    return PermissionDenied("this port takes an ACCOUNT_OPEN only");
  }
  std::promise<SubmitOutcome> outcome;
  coordinator->Submit(request.intent(),
                      [&](SubmitOutcome done) { outcome.set_value(std::move(done)); });
  return AnswerSubmit(*coordinator, request, intent.account(), outcome.get_future().get());
}

// The blob as the caller may read it, whichever kind it is of: campaign and kind are filled in.
StatusOr<Access> CheckRead(const Coordinator& coordinator, std::optional<uint64_t> account,
                           const base::Hash& digest) {
  Status denied = NotFound("there is no such blob");
  for (const base::BlobKind kind : kServedKinds) {
    const StatusOr<uint64_t> campaign = coordinator.CheckRead(account, kind, digest);
    if (campaign.ok()) return Access{0, account, kind, digest, *campaign};
    if (absl::IsPermissionDenied(campaign.status()) || absl::IsNotFound(denied)) {
      denied = campaign.status();
    }
  }
  return denied;
}

// All of the blob, or the one range that is asked for.
Status SetRange(const httplib::Request& request, uint64_t size_bytes, Access* access) {
  access->bytes = size_bytes;
  if (request.ranges.empty()) return OkStatus();
  const auto [first, last] = request.ranges.front();
  const auto size = static_cast<int64_t>(size_bytes);
  if (request.ranges.size() > 1 || first < 0 || first >= size || last >= size ||
      (last != -1 && last < first)) {
    return OutOfRange("the blob has {} bytes; one range of them may be asked for", size_bytes);
  }
  access->first_byte = static_cast<uint64_t>(first);
  access->bytes = static_cast<uint64_t>((last == -1 ? size - 1 : last) - first + 1);
  return OkStatus();
}

void ServeBundle(Coordinator* coordinator, httplib::Response& response) {
  response.set_chunked_content_provider(kBytes, [coordinator](size_t, httplib::DataSink& sink) {
    Pace pace;
    const Status status = coordinator->WriteBundle([&](std::string_view piece) -> Status {
      if (sink.write(piece.data(), piece.size()) && pace.Sent(piece.size())) return OkStatus();
      return absl::CancelledError("the client left");
    });
    if (status.ok()) {
      sink.done();
      return true;
    }
    if (!absl::IsCancelled(status)) spdlog::error("GET /bundle: {}", Message(status));
    return false;  // closes the connection before the last chunk, so the client sees it
  });
}

void ServeArtifact(Web* web, const httplib::Request& request, httplib::Response& response) {
  const auto fail = [&](const Status& status) {
    Fail(response, status);
    // The library would cut the range out of it, and say 416.
    if (!request.ranges.empty()) response.body.clear();
  };
  const StatusOr<base::Hash> digest = base::HashFromHex(request.matches[1].str());
  if (!digest.ok()) return fail(digest.status());
  const auto caller = CallerOf(web, request);
  if (!caller.ok()) return fail(caller.status());
  StatusOr<Access> access = CheckRead(*web->coordinator, *caller, *digest);
  if (!access.ok()) return fail(access.status());
  StatusOr<ledger::FileHandle> opened = web->coordinator->artifacts().Read(*digest);
  if (!opened.ok()) return fail(NotFound("the blob is not here any more"));
  auto file = std::make_shared<ledger::FileHandle>(std::move(*opened));
  struct stat info = {};
  if (::fstat(file->fd(), &info) != 0) return fail(Internal("the blob cannot be read"));
  Status ready = SetRange(request, static_cast<uint64_t>(info.st_size), &*access);
  if (ready.ok()) ready = web->coordinator->RecordAccess(*access);
  if (!ready.ok()) return fail(ready);
  response.set_content_provider(
      static_cast<size_t>(info.st_size), kBytes,
      [file, pace = std::make_shared<Pace>()](size_t offset, size_t length,
                                              httplib::DataSink& sink) {
        std::vector<char> buffer(std::min<size_t>(length, base::kChunkBytes));
        const ssize_t count =
            ::pread(file->fd(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
        return count > 0 && sink.write(buffer.data(), static_cast<size_t>(count)) &&
               pace->Sent(static_cast<size_t>(count));
      });
}

// Turns away who says in a header that it speaks no protocol of ours; who says nothing is served.
httplib::Server::HandlerResponse CheckProtocol(const httplib::Request& request,
                                               httplib::Response& response) {
  const base::Speaker self{"crowdteachd " CROWDTEACH_VERSION};
  response.set_header(base::kProtocolHeader, base::FormatSpeaker(self));
  const auto peer = base::ParseSpeaker(request.get_header_value(base::kProtocolHeader));
  if (!peer) return httplib::Server::HandlerResponse::Unhandled;
  const Status compatible = base::CheckCompatible(*peer, self);
  if (compatible.ok()) return httplib::Server::HandlerResponse::Unhandled;
  spdlog::warn("an auditor was turned away: {}", Message(compatible));
  Fail(response, compatible);
  return httplib::Server::HandlerResponse::Handled;
}

void Route(Web* web, httplib::SSLServer* server) {
  using httplib::Request, httplib::Response;
  Coordinator* const coordinator = web->coordinator;
  server->Get("/vkey", [coordinator](const Request&, Response& response) {
    response.set_content(coordinator->log_vkey() + "\n", kText);
  });
  server->Get("/checkpoint", [coordinator](const Request&, Response& response) {
    response.set_content(coordinator->checkpoint(), kText);
  });
  server->Get("/bundle", [coordinator](const Request&, Response& response) {
    ServeBundle(coordinator, response);
  });
  server->Get("/artifact/([0-9a-f]{64})", [web](const Request& request, Response& response) {
    ServeArtifact(web, request, response);
  });
  server->Post("/hello", [web](const Request& from, Response& response) {
    Answer<v1::HelloRequest>(from, response, [web](const v1::HelloRequest& request) {
      return SayHello(*web->coordinator, web->sessions, request, WallClockMs());
    });
  });
  server->Post("/session", [web](const Request& from, Response& response) {
    Answer<v1::OpenSessionRequest>(from, response, [web](const v1::OpenSessionRequest& request) {
      return OpenSession(*web->coordinator, &web->sessions, web->ca_digest, request, WallClockMs());
    });
  });
  server->Post("/submit", [coordinator](const Request& from, Response& response) {
    Answer<v1::SubmitRequest>(from, response, [coordinator](const v1::SubmitRequest& request) {
      return SubmitNow(coordinator, request);
    });
  });
}

}  // namespace

struct WebServer::Impl {
  Impl(Coordinator* coordinator, const base::Hash& ca_digest, const std::string& identity_path)
      : web{coordinator, ca_digest, {}}, server(identity_path.c_str(), identity_path.c_str()) {}
  Web web;
  httplib::SSLServer server;
  std::thread thread;
  int port = 0;
};

WebServer::WebServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

WebServer::~WebServer() {
  impl_->server.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

uint16_t WebServer::port() const { return static_cast<uint16_t>(impl_->port); }

StatusOr<std::unique_ptr<WebServer>> WebServer::Listen(Coordinator* coordinator,
                                                       const wire::ServerIdentity& identity,
                                                       const wire::HostPort& listen) {
  CT_ASSIGN_OR_RETURN(const base::Hash ca_digest, wire::CaDigest(identity.ca_pem));
  auto impl = std::make_unique<Impl>(coordinator, ca_digest, identity.identity_path);
  httplib::SSLServer& server = impl->server;
  if (!server.is_valid()) {
    return Internal("the HTTPS server does not take the certificate in {}", identity.identity_path);
  }
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  // Not the library's SO_REUSEPORT: a second server on the port would silently share its requests.
  server.set_socket_options([](socket_t socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  server.set_read_timeout(kReadTimeoutS);
  server.set_write_timeout(kWriteTimeoutS);
  server.set_keep_alive_timeout(5);
  server.set_tcp_nodelay(true);  // else each small answer waits for the reader's delayed ACK
  server.set_payload_max_length(kMaxRequestBytes);
  server.set_pre_routing_handler(CheckProtocol);
  Route(&impl->web, &server);
  impl->port = listen.port;
  const bool bound = listen.port == 0 ? (impl->port = server.bind_to_any_port(listen.host)) > 0
                                      : server.bind_to_port(listen.host, listen.port);
  if (!bound) {
    return Unavailable(
        "cannot listen on {}: the address is in use or not this machine's; choose "
        "another with --web-listen",
        wire::FormatHostPort(listen));
  }
  impl->thread = std::thread([&server] { server.listen_after_bind(); });
  return std::unique_ptr<WebServer>(new WebServer(std::move(impl)));
}

}  // namespace crowdteach::server
