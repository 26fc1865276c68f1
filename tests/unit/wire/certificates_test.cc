// The certificates, and a real TLS handshake with them: the right CA connects, another does not.
#include "proto/wire/certificates.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "crowdteach/v1/coordinator.grpc.pb.h"
#include "proto/base/exit_codes.h"
#include "proto/base/file.h"
#include "proto/wire/credentials.h"
#include "proto/wire/status.h"
#include "tests/support/catch.h"

namespace crowdteach::wire {
namespace {

uint64_t NowMs() {
  using namespace std::chrono;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

struct Folder {
  Folder() {
    char name[] = "/tmp/crowdteach-test-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

class HelloService final : public v1::Coordinator::CallbackService {
  grpc::ServerUnaryReactor* Hello(grpc::CallbackServerContext* call, const v1::HelloRequest*,
                                  v1::HelloReply* reply) override {
    reply->set_program("test");
    auto* reactor = call->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

struct TestServer {
  explicit TestServer(const ServerIdentity& identity) {
    grpc::ServerBuilder builder;
    ApplyServerSettings(builder);
    builder.AddListeningPort("127.0.0.1:0", ServerCredentials(identity), &port);
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
    REQUIRE(server != nullptr);
  }
  ~TestServer() { server->Shutdown(); }
  std::string Address() const { return "127.0.0.1:" + std::to_string(port); }
  int port = 0;
  HelloService service;
  std::unique_ptr<grpc::Server> server;
};

Status Hello(const std::string& address, const std::string& ca_pem) {
  const auto stub = v1::Coordinator::NewStub(PinnedChannel(address, ca_pem));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  v1::HelloReply reply;
  return FromGrpc(stub->Hello(&context, v1::HelloRequest(), &reply));
}

}  // namespace

TEST_CASE("the CA is made once, the server's certificate at each start") {
  const Folder folder;
  const auto first = LoadOrCreateIdentity(folder.path + "/tls", NowMs());
  REQUIRE(first.ok());
  const auto second = LoadOrCreateIdentity(folder.path + "/tls", NowMs() + 1000);
  REQUIRE(second.ok());
  REQUIRE(first->ca_pem == second->ca_pem);
  REQUIRE(first->chain_pem != second->chain_pem);
  REQUIRE(*CaDigest(first->ca_pem) == *CaDigest(second->ca_pem));
  for (const char* name : {"/tls/ca.pem", "/tls/server.pem"}) {
    struct stat info = {};
    REQUIRE(stat((folder.path + name).c_str(), &info) == 0);
    REQUIRE((info.st_mode & 0777) == 0600);
  }
}

TEST_CASE("a CA file that others may read, or that is damaged, is refused") {
  const Folder folder;
  REQUIRE(LoadOrCreateIdentity(folder.path, NowMs()).ok());
  const std::string path = folder.path + "/ca.pem";
  REQUIRE(chmod(path.c_str(), 0644) == 0);
  REQUIRE(absl::IsPermissionDenied(LoadOrCreateIdentity(folder.path, NowMs()).status()));
  REQUIRE(base::WriteFileDurably(path, "nonsense", 0600).ok());
  REQUIRE(absl::IsInvalidArgument(LoadOrCreateIdentity(folder.path, NowMs()).status()));
}

TEST_CASE("key and certificate of two CAs are not taken together") {
  const Folder a;
  const Folder b;
  REQUIRE(LoadOrCreateIdentity(a.path, NowMs()).ok());
  const auto other = LoadOrCreateIdentity(b.path, NowMs());
  REQUIRE(other.ok());
  const auto own = base::ReadFile(a.path + "/ca.pem", 65536);
  const std::string key = own->substr(0, own->find("-----BEGIN CERTIFICATE"));
  REQUIRE(base::WriteFileDurably(a.path + "/ca.pem", key + other->ca_pem, 0600).ok());
  REQUIRE(absl::IsInvalidArgument(LoadOrCreateIdentity(a.path, NowMs()).status()));
}

TEST_CASE("CaDigest takes exactly one certificate") {
  const Folder folder;
  const auto identity = LoadOrCreateIdentity(folder.path, NowMs());
  REQUIRE(CaDigest(identity->ca_pem).ok());
  REQUIRE_FALSE(CaDigest("").ok());
  REQUIRE_FALSE(CaDigest("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").ok());
  REQUIRE_FALSE(CaDigest(identity->chain_pem).ok());
}

TEST_CASE("a client connects to the coordinator of its CA only") {
  const Folder ours;
  const Folder theirs;
  const auto identity = LoadOrCreateIdentity(ours.path, NowMs());
  const auto other = LoadOrCreateIdentity(theirs.path, NowMs());
  const TestServer server(*identity);
  REQUIRE(Hello(server.Address(), identity->ca_pem).ok());
  const Status wrong = Hello(server.Address(), other->ca_pem);
  INFO(wrong.ToString());
  REQUIRE(absl::IsUnavailable(wrong));
  REQUIRE(ExitCodeOf(wrong) == kExitUnreachable);
}

TEST_CASE("a server certificate issued anew is accepted with the old CA") {
  const Folder folder;
  const auto old = LoadOrCreateIdentity(folder.path, NowMs());
  const auto renewed = LoadOrCreateIdentity(folder.path, NowMs());
  const TestServer server(*renewed);
  REQUIRE(Hello(server.Address(), old->ca_pem).ok());
}

}  // namespace crowdteach::wire
