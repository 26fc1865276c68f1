// A server of one's own over real TLS, which answers as its test tells it to.
#pragma once

#include <httplib.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "ledger/http_fetch.h"
#include "proto/wire/certificates.h"
#include "tests/support/catch.h"
#include "tests/support/learning_world.h"

namespace crowdteach::ledger {

inline uint64_t WallClockMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

// Put handlers into `server`, then Start.
struct HttpsServer {
  HttpsServer() {
    auto made = wire::LoadOrCreateIdentity(folder.File("tls"), WallClockMs());
    REQUIRE(made.ok());
    identity = *std::move(made);
    server = std::make_unique<httplib::SSLServer>(identity.identity_path.c_str(),
                                                  identity.identity_path.c_str());
  }
  void Start() {
    port = server->bind_to_any_port("127.0.0.1");
    REQUIRE(port > 0);
    thread = std::thread([this] { server->listen_after_bind(); });
    while (!server->is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~HttpsServer() {
    server->stop();
    if (thread.joinable()) thread.join();
  }
  std::unique_ptr<HttpsClient> Client(const std::string& ca = "",
                                      const std::string& name = wire::kServerName) const {
    auto client = HttpsClient::Make({{"127.0.0.1", static_cast<uint16_t>(port)}, ca, name});
    REQUIRE(client.ok());
    return *std::move(client);
  }

  learning::TestFolder folder;
  wire::ServerIdentity identity;
  std::unique_ptr<httplib::SSLServer> server;
  int port = 0;
  std::thread thread;
};

}  // namespace crowdteach::ledger
