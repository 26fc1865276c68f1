#include "server/rpc/rpc_server.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <utility>

#include "proto/wire/credentials.h"
#include "server/rpc/coordinator_service.h"

namespace crowdteach::server {
namespace {

uint64_t WallClockMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

// Ends all calls of a server, waiting a little for those that are about to end by themselves.
void Stop(const std::unique_ptr<grpc::Server>& server) {
  if (server != nullptr)
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}

}  // namespace

struct RpcServer::Impl {
  Impl(Coordinator* coordinator, const base::Hash& ca_digest, Options options)
      : context{*coordinator, ca_digest, std::move(options.now_ms), std::move(options.advertise)},
        service(&context) {}
  RpcContext context;
  CoordinatorService service;
  std::unique_ptr<AdminService> admin;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<grpc::Server> admin_server;
  int port = 0;
};

RpcServer::RpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RpcServer::~RpcServer() {
  Stop(impl_->server);
  Stop(impl_->admin_server);
}

uint16_t RpcServer::port() const { return static_cast<uint16_t>(impl_->port); }

StatusOr<std::unique_ptr<RpcServer>> RpcServer::Listen(Coordinator* coordinator,
                                                       const wire::ServerIdentity& identity,
                                                       Options options) {
  CT_ASSIGN_OR_RETURN(const base::Hash ca_digest, wire::CaDigest(identity.ca_pem));
  if (!options.now_ms) options.now_ms = WallClockMs;
  const std::string address = wire::FormatHostPort(options.listen);
  auto impl = std::make_unique<Impl>(coordinator, ca_digest, std::move(options));
  grpc::ServerBuilder builder;
  wire::ApplyServerSettings(builder);
  builder.AddListeningPort(address, wire::ServerCredentials(identity), &impl->port);
  builder.RegisterService(&impl->service);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || impl->port == 0) {
    return Unavailable(
        "cannot listen on {}: the address is in use or not this machine's; choose another with "
        "--listen",
        address);
  }
  return std::unique_ptr<RpcServer>(new RpcServer(std::move(impl)));
}

StatusOr<std::string> AdminSocketPath(const std::string& home) {
  std::error_code error;
  const std::string path =
      (std::filesystem::absolute(home, error).lexically_normal() / "admin.sock").string();
  if (error) return ErrnoStatus(error.value(), home);
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return InvalidArgument(
        "{} is too long for a Unix socket ({} bytes at most): choose a shorter "
        "--home",
        path, sizeof(sockaddr_un::sun_path) - 1);
  }
  return path;
}

Status RpcServer::StartAdmin(const std::string& home, Advertised advertised) {
  CT_ASSIGN_OR_RETURN(const std::string path, AdminSocketPath(home));
  impl_->admin = std::make_unique<AdminService>(&impl_->context, std::move(advertised));
  grpc::ServerBuilder builder;
  wire::ApplyServerSettings(builder);
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  builder.RegisterService(impl_->admin.get());
  // The home is mode 0700, so nobody comes in between.
  impl_->admin_server = builder.BuildAndStart();
  if (impl_->admin_server == nullptr) return Unavailable("cannot listen on {}", path);
  if (::chmod(path.c_str(), 0600) != 0) return ErrnoStatus(errno, "cannot protect " + path);
  return OkStatus();
}

}  // namespace crowdteach::server
