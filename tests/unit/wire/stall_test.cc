// A call whose peer answers and then does nothing is ended; one that moves is not.
#include "proto/wire/stall.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "crowdteach/v1/coordinator.grpc.pb.h"
#include "proto/base/exit_codes.h"
#include "proto/wire/status.h"
#include "tests/support/catch.h"

namespace crowdteach::wire {
namespace {

// Sends `chunks` chunks, one every 100 ms, and then nothing more.
class SlowService final : public v1::Coordinator::Service {
 public:
  explicit SlowService(int chunks) : chunks_(chunks) {}
  grpc::Status Download(grpc::ServerContext* call, const v1::DownloadRequest*,
                        grpc::ServerWriter<v1::Chunk>* writer) override {
    for (int i = 0; i < chunks_; ++i) {
      writer->Write(v1::Chunk());
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    while (!call->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::CANCELLED;
  }

 private:
  const int chunks_;
};

TEST_CASE("A transfer in which nothing moves is ended, however long it moved before") {
  SlowService service(15);  // 1.5 s, longer than the guard's second
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  REQUIRE(server != nullptr);
  const auto stub = v1::Coordinator::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  StallGuard guard(&context, 1);
  const auto reader = stub->Download(&context, v1::DownloadRequest());
  v1::Chunk chunk;
  int chunks = 0;
  while (reader->Read(&chunk)) {
    guard.Moved();
    ++chunks;
  }
  const Status ended = guard.Explain(FromGrpc(reader->Finish()));
  REQUIRE(chunks == 15);
  REQUIRE(absl::IsUnavailable(ended));
  REQUIRE(IsFromPeer(ended));
  REQUIRE(Message(ended).find("nothing has moved for 1 s") != std::string::npos);
  server->Shutdown();
}

TEST_CASE("A guard explains nothing that it did not do") {
  grpc::ClientContext context;
  StallGuard guard(&context, 60);
  REQUIRE(guard.Explain(OkStatus()).ok());
  REQUIRE(guard.Explain(NotFound("x")) == NotFound("x"));
}

}  // namespace
}  // namespace crowdteach::wire
