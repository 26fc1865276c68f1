// Fetching over real TLS from a server that answers well, badly, too much, or not to the end.
#include "ledger/http_fetch.h"

#include <httplib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "proto/base/exit_codes.h"
#include "proto/base/protocol.h"
#include "proto/wire/certificates.h"
#include "tests/support/catch.h"
#include "tests/support/learning_world.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::ledger {
namespace {

using testing::Refused;

std::unique_ptr<httplib::SSLServer> MakeServer(const learning::TestFolder& folder) {
  const auto identity = wire::LoadOrCreateIdentity(folder.File("tls"), 1'700'000'000'000);
  REQUIRE(identity.ok());
  return std::make_unique<httplib::SSLServer>(identity->identity_path.c_str(),
                                              identity->identity_path.c_str());
}

struct Server {
  learning::TestFolder folder;
  std::unique_ptr<httplib::SSLServer> server = MakeServer(folder);
  int port = 0;
  std::thread thread;

  Server() {
    server->Get("/bundle", [](const httplib::Request&, httplib::Response& response) {
      response.set_chunked_content_provider("application/octet-stream",
                                            [](size_t, httplib::DataSink& sink) {
                                              const std::string piece(10'000, 'b');
                                              for (int i = 0; i < 10; ++i)
                                                sink.write(piece.data(), piece.size());
                                              sink.done();
                                              return true;
                                            });
    });
    server->Get("/broken", [](const httplib::Request&, httplib::Response& response) {
      response.set_chunked_content_provider("application/octet-stream",
                                            [](size_t, httplib::DataSink& sink) {
                                              sink.write("half", 4);
                                              return false;
                                            });
    });
    server->Get("/slow", [](const httplib::Request&, httplib::Response& response) {
      response.set_chunked_content_provider(
          "application/octet-stream", [](size_t offset, httplib::DataSink& sink) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            return offset < 1000 && sink.write("x", 1);
          });
    });
    server->Get("/newer", [](const httplib::Request& request, httplib::Response& response) {
      const auto peer = base::ParseSpeaker(request.get_header_value(base::kProtocolHeader));
      response.status = peer && peer->newest == base::kNewestProtocol ? 400 : 500;
      response.set_header(base::kProtocolHeader, "8-9 crowdteachd 9.0");
      response.set_content("...", "text/plain");
    });
    port = server->bind_to_any_port("127.0.0.1");
    REQUIRE(port > 0);
    thread = std::thread([this] { server->listen_after_bind(); });
    while (!server->is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~Server() {
    server->stop();
    thread.join();
  }
  FetchOptions Options(const std::string& path) const {
    FetchOptions options;
    options.host = "127.0.0.1";
    options.port = static_cast<uint16_t>(port);
    options.path = path;
    options.output = folder.File("out");
    return options;
  }
};

TEST_CASE("a file is fetched whole, or not at all") {
  const Server server;
  const auto bytes = FetchToFile(server.Options("/bundle"));
  INFO(bytes.status());
  REQUIRE(bytes.ok());
  CHECK(*bytes == 100'000);
  CHECK(std::filesystem::file_size(server.folder.File("out")) == 100'000);

  const auto broken = FetchToFile(server.Options("/broken"));
  CHECK(broken.status().code() == absl::StatusCode::kUnavailable);
  CHECK(ExitCodeOf(broken.status()) == kExitUnreachable);
  CHECK_FALSE(std::filesystem::exists(server.folder.File("out")));

  const auto absent = FetchToFile(server.Options("/nothing"));
  CHECK(Refused(absent, absl::StatusCode::kFailedPrecondition, "404"));
  CHECK(ExitCodeOf(absent.status()) == kExitRefused);
}

TEST_CASE("a coordinator of another protocol: who must upgrade") {
  const Server server;
  const auto newer = FetchToFile(server.Options("/newer"));
  CHECK(Refused(newer, absl::StatusCode::kFailedPrecondition, "crowdteachd 9.0 speaks"));
  CHECK(Refused(newer, absl::StatusCode::kFailedPrecondition, "upgrade crowdteach-audit"));
  CHECK(ExitCodeOf(newer.status()) == kExitRefused);
  CHECK_FALSE(std::filesystem::exists(server.folder.File("out")));
}

TEST_CASE("size and time of a fetch are bounded") {
  const Server server;
  FetchOptions small = server.Options("/bundle");
  small.max_bytes = 99'999;
  CHECK(Refused(FetchToFile(small), absl::StatusCode::kResourceExhausted, "--max-bytes"));
  small.max_bytes = 100'000;
  CHECK(FetchToFile(small).ok());
  FetchOptions slow = server.Options("/slow");
  slow.timeout_ms = 200;
  CHECK(Refused(FetchToFile(slow), absl::StatusCode::kDeadlineExceeded, "--timeout"));
  CHECK_FALSE(std::filesystem::exists(slow.output));
}

TEST_CASE("a port where nobody answers is unreachable") {
  FetchOptions options;
  {
    const Server server;
    options = server.Options("/bundle");
  }
  options.output = (std::filesystem::temp_directory_path() / "crowdteach-nobody").string();
  const auto nobody = FetchToFile(options);
  CHECK(ExitCodeOf(nobody.status()) == kExitUnreachable);
  CHECK_FALSE(std::filesystem::exists(options.output));
}

TEST_CASE("addresses are a host and a port") {
  for (const char* bad : {"", "host", "host:", ":1", "host:0", "host:65536", "host:1x", "::1:80",
                          "[]:80", "host: 80"}) {
    INFO(bad);
    CHECK(ParseAddress(bad).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(ParseAddress("localhost:8443")->port == 8443);
  CHECK(ParseAddress("[::1]:80")->host == "::1");
}

}  // namespace
}  // namespace crowdteach::ledger
