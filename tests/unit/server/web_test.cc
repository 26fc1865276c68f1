// The HTTPS port: readers that stand still do not keep others waiting.
#include "server/web/web_server.h"

#include <httplib.h>

#include <chrono>
#include <fstream>
#include <future>
#include <thread>
#include <vector>

#include "proto/base/protocol.h"
#include "tests/unit/server/running.h"

namespace crowdteach::server {
namespace {

std::unique_ptr<httplib::SSLClient> Client(const WebServer& web) {
  auto client = std::make_unique<httplib::SSLClient>("127.0.0.1", web.port());
  client->enable_server_certificate_verification(false);
  return client;
}

TEST_CASE("A dozen readers that stand still do not keep an auditor waiting") {
  v1::CampaignOpen open = testing::SmallCampaign();
  open.mutable_terms()->set_update_readers(v1::PUBLIC);
  SmallWorld world(4, open);
  world.log.RunRound(world.id, {});
  const HistoryHome home(world.log);
  const base::Hash update = world.log.UpdateOf(world.id, world.teachers[0], {});
  std::filesystem::create_directories(home.File("home/artifacts"));
  // More than sockets buffer.
  std::ofstream(home.File("home/artifacts/") + base::Hex(update)) << std::string(16 << 20, 'x');
  Running running(home, world.log.now_ms);
  const auto identity = wire::LoadOrCreateIdentity(home.File("home/tls"), running.now_ms);
  REQUIRE(identity.ok());
  const auto web = WebServer::Listen(running.coordinator.get(), *identity, {"127.0.0.1", 0});
  REQUIRE(web.ok());

  constexpr int kReaders = 12;
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  std::atomic<int> reading{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, ended] {
      bool first = true;
      Client(**web)->Get("/artifact/" + base::Hex(update), [&](const char*, size_t) {
        if (std::exchange(first, false)) ++reading;
        ended.wait();
        return false;
      });
    });
  }
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(8);
  while (reading < kReaders && std::chrono::steady_clock::now() < patience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const int were_reading = reading;
  const auto checkpoint = Client(**web)->Get("/checkpoint");
  const bool answered = checkpoint && checkpoint->status == 200;
  end.set_value();
  for (std::thread& reader : readers) reader.join();
  REQUIRE(were_reading == kReaders);  // each has a thread of the server's
  REQUIRE(answered);
  REQUIRE(checkpoint->body == running.coordinator->checkpoint());
}

TEST_CASE(
    "An auditor of another protocol is told who must upgrade, one who says nothing is served") {
  const TestHome home;
  Running running(home);
  const auto identity = wire::LoadOrCreateIdentity(home.File("tls"), running.now_ms);
  REQUIRE(identity.ok());
  const auto web = WebServer::Listen(running.coordinator.get(), *identity, {"127.0.0.1", 0});
  REQUIRE(web.ok());
  const auto get = [&](const httplib::Headers& headers) {
    const auto result = Client(**web)->Get("/checkpoint", headers);
    REQUIRE(result);
    return *result;
  };
  const httplib::Response plain = get({});
  CHECK(plain.status == 200);
  const auto self = base::ParseSpeaker(plain.get_header_value(base::kProtocolHeader));
  REQUIRE(self.has_value());
  CHECK(self->newest == base::kNewestProtocol);
  CHECK(get({{base::kProtocolHeader, "1-9 crowdteach-audit 9"}}).status == 200);
  CHECK(get({{base::kProtocolHeader, "nonsense"}}).status == 200);
  const httplib::Response newer = get({{base::kProtocolHeader, "8-9 crowdteach-audit 9"}});
  CHECK(newer.status == 400);
  CHECK(newer.body.find("crowdteach-audit 9 speaks protocols 8 to 9") != std::string::npos);
  CHECK(newer.body.find("upgrade the coordinator") != std::string::npos);
}

}  // namespace
}  // namespace crowdteach::server
