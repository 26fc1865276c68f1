#include "server/web/web_server.h"

#include <httplib.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ledger/file_io.h"
#include "proto/base/digest.h"
#include "proto/base/protocol.h"

namespace crowdteach::server {
namespace {

constexpr size_t kThreads = 64;
constexpr time_t kReadTimeoutS = 5;
constexpr time_t kWriteTimeoutS = 10;
constexpr uint64_t kGraceMs = 30'000;
constexpr uint64_t kBytesPerMs = 16;
constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kBytes[] = "application/octet-stream";

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

void Fail(httplib::Response& response, int code, const std::string& what) {
  response.status = code;
  response.set_content(what + "\n", kText);
}

// Anybody's right to the blob, whichever kind it is of.
Status CheckPublic(const Coordinator& coordinator, const base::Hash& digest) {
  Status denied = NotFound("there is no such blob");
  for (const base::BlobKind kind : {base::BlobKind::kWeights, base::BlobKind::kUpdate,
                                    base::BlobKind::kGradient, base::BlobKind::kValidation}) {
    const Status status = coordinator.CheckRead(std::nullopt, kind, digest);
    if (status.ok()) return status;
    if (!absl::IsNotFound(status)) denied = status;
  }
  return denied;
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

void ServeArtifact(Coordinator* coordinator, const std::string& hex, httplib::Response& response) {
  const StatusOr<base::Hash> digest = base::HashFromHex(hex);
  if (!digest.ok()) return Fail(response, 400, Message(digest.status()));
  const Status allowed = CheckPublic(*coordinator, *digest);
  if (!allowed.ok()) {
    return Fail(response, absl::IsNotFound(allowed) ? 404 : 403, Message(allowed));
  }
  StatusOr<ledger::FileHandle> opened = coordinator->artifacts().Read(*digest);
  if (!opened.ok()) return Fail(response, 404, Message(opened.status()));
  auto file = std::make_shared<ledger::FileHandle>(std::move(*opened));
  struct stat info = {};
  if (::fstat(file->fd(), &info) != 0) return Fail(response, 500, "the blob cannot be read");
  spdlog::info("an auditor fetches {} ({} bytes)", hex, static_cast<uint64_t>(info.st_size));
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
  Fail(response, 400, Message(compatible));
  return httplib::Server::HandlerResponse::Handled;
}

}  // namespace

struct WebServer::Impl {
  explicit Impl(const std::string& identity_path)
      : server(identity_path.c_str(), identity_path.c_str()) {}
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
  auto impl = std::make_unique<Impl>(identity.identity_path);
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
  server.set_payload_max_length(1024);
  server.set_pre_routing_handler(CheckProtocol);
  server.Get("/vkey", [coordinator](const httplib::Request&, httplib::Response& response) {
    response.set_content(coordinator->log_vkey() + "\n", kText);
  });
  server.Get("/checkpoint", [coordinator](const httplib::Request&, httplib::Response& response) {
    response.set_content(coordinator->checkpoint(), kText);
  });
  server.Get("/bundle", [coordinator](const httplib::Request&, httplib::Response& response) {
    ServeBundle(coordinator, response);
  });
  server.Get("/artifact/([0-9a-f]{64})",
             [coordinator](const httplib::Request& request, httplib::Response& response) {
               ServeArtifact(coordinator, request.matches[1], response);
             });
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
