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
#include "tests/integration/audit/https_server.h"
#include "tests/support/catch.h"
#include "tests/support/learning_world.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::ledger {
namespace {

using testing::Refused;

struct Server : HttpsServer {
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
    server->Get("/moved", [](const httplib::Request&, httplib::Response& response) {
      response.set_redirect("/bundle");
    });
    server->Get("/refused", [](const httplib::Request&, httplib::Response& response) {
      response.status = 403;
      response.set_content("not for \x1b[31myou\nnor for me" + std::string(10'000, 'x'),
                           "text/plain");
    });
    server->Get("/newer", [](const httplib::Request& request, httplib::Response& response) {
      const auto peer = base::ParseSpeaker(request.get_header_value(base::kProtocolHeader));
      response.status = peer && peer->newest == base::kNewestProtocol ? 400 : 500;
      response.set_header(base::kProtocolHeader, "8-9 crowdteachd 9.0");
      response.set_content("...", "text/plain");
    });
    Start();
  }
  StatusOr<uint64_t> Fetch(const std::string& path) const { return Fetch(HttpRequest{path}); }
  StatusOr<uint64_t> Fetch(HttpRequest request, const std::string& ca = "",
                           const std::string& name = wire::kServerName) const {
    request.max_bytes = std::min(request.max_bytes, uint64_t{1} << 20);
    const auto client = Client(ca, name);
    return FetchToFile(client.get(), request, folder.File("out"));
  }
};

TEST_CASE("a file is fetched whole, or not at all") {
  const Server server;
  const auto bytes = server.Fetch("/bundle");
  INFO(bytes.status());
  REQUIRE(bytes.ok());
  CHECK(*bytes == 100'000);
  CHECK(std::filesystem::file_size(server.folder.File("out")) == 100'000);

  const auto broken = server.Fetch("/broken");
  CHECK(broken.status().code() == absl::StatusCode::kUnavailable);
  CHECK(ExitCodeOf(broken.status()) == kExitUnreachable);
  CHECK_FALSE(std::filesystem::exists(server.folder.File("out")));

  const auto absent = server.Fetch("/nothing");
  CHECK(Refused(absent, absl::StatusCode::kFailedPrecondition, "404"));
  CHECK(ExitCodeOf(absent.status()) == kExitRefused);
  CHECK(Refused(server.Fetch("/moved"), absl::StatusCode::kFailedPrecondition, "302"));
}

TEST_CASE("a coordinator of another protocol: who must upgrade") {
  const Server server;
  const auto newer = server.Fetch("/newer");
  CHECK(Refused(newer, absl::StatusCode::kFailedPrecondition, "crowdteachd 9.0 speaks"));
  CHECK(Refused(newer, absl::StatusCode::kFailedPrecondition, "upgrade crowdteach-audit"));
  CHECK(ExitCodeOf(newer.status()) == kExitRefused);
  CHECK_FALSE(std::filesystem::exists(server.folder.File("out")));
}

TEST_CASE("size and time of a fetch are bounded") {
  const Server server;
  HttpRequest small{"/bundle"};
  small.max_bytes = 99'999;
  CHECK(Refused(server.Fetch(small), absl::StatusCode::kResourceExhausted, "--max-bytes"));
  small.max_bytes = 100'000;
  CHECK(server.Fetch(small).ok());
  HttpRequest slow{"/slow"};
  slow.timeout_ms = 200;
  CHECK(Refused(server.Fetch(slow), absl::StatusCode::kDeadlineExceeded, "--timeout"));
  CHECK_FALSE(std::filesystem::exists(server.folder.File("out")));
}

TEST_CASE("what a stranger says is cut to a line of a terminal") {
  const Server server;
  const auto answer = server.Client()->Send({"/refused"}, [](std::string_view) {
    return Internal("the body of a refusal is not content");
  });
  REQUIRE(answer.ok());
  CHECK(answer->code == 403);
  CHECK(answer->text == "not for ?[31myou");
}

TEST_CASE("with an invite's CA the server is verified, whatever its address") {
  const Server server;
  const learning::TestFolder other;
  const auto stranger = wire::LoadOrCreateIdentity(other.File("tls"), WallClockMs());
  const auto right = server.Fetch({"/bundle"}, server.identity.ca_pem);
  INFO(right.status());
  CHECK(right.ok());
  const auto wrong = server.Fetch({"/bundle"}, stranger->ca_pem);
  CHECK(Refused(wrong, absl::StatusCode::kPermissionDenied, "not the coordinator of the invite"));
  CHECK(ExitCodeOf(wrong.status()) == kExitRefused);
  CHECK_FALSE(server.Fetch({"/bundle"}, server.identity.ca_pem, "another-name").ok());
}

TEST_CASE("a port where nobody answers is unreachable") {
  const learning::TestFolder folder;
  std::unique_ptr<HttpsClient> client;
  {
    const Server server;
    client = server.Client();
  }
  const auto nobody = FetchToFile(client.get(), {"/bundle"}, folder.File("out"));
  CHECK(ExitCodeOf(nobody.status()) == kExitUnreachable);
  CHECK_FALSE(std::filesystem::exists(folder.File("out")));
  const auto unknown = HttpsClient::Make({{"no-such-host.invalid", 1}, "", ""});
  CHECK(ExitCodeOf(unknown.status()) == kExitUnreachable);
}

TEST_CASE("addresses are a host and a port") {
  for (const char* bad : {"", "host", "host:", ":1", "host:0", "host:65536", "host:1x", "::1:80",
                          "[]:80", "host: 80"}) {
    INFO(bad);
    CHECK(ParseAddress(bad).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(ParseAddress("localhost:8443")->port == 8443);
  CHECK(ParseAddress("[::1]:80")->host == "::1");
  CHECK(ParseAddress("https://teach.example.org:7701/")->host == "teach.example.org");
  CHECK_FALSE(ParseAddress("http://teach.example.org:7701").ok());
}

}  // namespace
}  // namespace crowdteach::ledger
