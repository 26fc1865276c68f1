// Statuses, backoff and chunks.
#include <grpcpp/grpcpp.h>

#include "proto/base/digest.h"
#include "proto/base/exit_codes.h"
#include "proto/wire/chunks.h"
#include "proto/wire/retry.h"
#include "proto/wire/status.h"
#include "tests/support/catch.h"

namespace crowdteach::wire {

TEST_CASE("a status crosses the wire with its detail") {
  const Status sent = WithDetail(FailedPrecondition("round {} is over", 3), std::string("\0x", 2));
  const Status received = FromGrpc(ToGrpc(sent));
  REQUIRE(received.code() == sent.code());
  REQUIRE(Message(received) == "round 3 is over");
  REQUIRE(Detail(received) == std::string("\0x", 2));
  REQUIRE(IsFromPeer(received));
  REQUIRE(ExitCodeOf(received) == kExitRefused);
  REQUIRE(ExitCodeOf(Annotate(received, "uploading")) == kExitRefused);
  REQUIRE(FromGrpc(ToGrpc(OkStatus())).ok());
}

TEST_CASE("a status from the wire is bounded, whatever its code") {
  const Status long_one = FromGrpc(
      grpc::Status(grpc::StatusCode::INTERNAL, std::string(100'000, 'x'), std::string(9000, 'd')));
  REQUIRE(Message(long_one).size() == 2048);
  REQUIRE(Detail(long_one).size() == 2048);
  const Status odd = FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(77), "odd"));
  REQUIRE(odd.code() == absl::StatusCode::kUnknown);
}

TEST_CASE(
    "a broken connection is told in plain words, a bad certificate and refusals as they are") {
  const auto told = [](grpc::StatusCode code, const std::string& text) {
    return Message(FromGrpc(grpc::Status(code, text)));
  };
  const std::string refused = told(grpc::StatusCode::UNAVAILABLE,
                                   "failed to connect to all addresses; last error: UNKNOWN: "
                                   "ipv4:127.0.0.1:1: Failed to connect "
                                   "to remote host: Connection refused");
  REQUIRE(refused.find("nothing listens there") == 0);
  REQUIRE(told(grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded").find("in time") !=
          std::string::npos);
  const std::string certificate = "failed to connect to all addresses: certificate verify failed";
  REQUIRE(told(grpc::StatusCode::UNAVAILABLE, certificate) == certificate);
  REQUIRE(told(grpc::StatusCode::FAILED_PRECONDITION, "Socket closed") == "Socket closed");
}

TEST_CASE("backoff grows to its limit and is spread") {
  Backoff backoff({.first_ms = 100, .max_ms = 1000, .seed = 1});
  const uint64_t limits[] = {100, 200, 400, 800, 1000, 1000};
  for (const uint64_t limit : limits) {
    const uint64_t wait = backoff.NextMs();
    REQUIRE(wait >= limit / 2);
    REQUIRE(wait <= limit);
  }
  backoff.Reset();
  REQUIRE(backoff.NextMs() <= 100);
  REQUIRE(IsTransient(Unavailable("x")));
  REQUIRE_FALSE(IsTransient(NotFound("x")));
  REQUIRE_FALSE(IsTransient(OkStatus()));
}

TEST_CASE("EncodeChunk is protobuf's own encoding") {
  struct Case {
    uint64_t size_bytes;
    size_t payload;
  };
  for (const Case item : {Case{0, 0}, Case{0, 1}, Case{1, 1}, Case{uint64_t{1} << 40, 1 << 20}}) {
    v1::Chunk expected;
    expected.set_size_bytes(item.size_bytes);
    expected.set_payload(std::string(item.payload, 'p'));
    const grpc::ByteBuffer buffer = EncodeChunk(item.size_bytes, std::string(item.payload, 'p'));
    v1::Chunk read;
    REQUIRE(DecodeMessage(buffer, &read).ok());
    REQUIRE(read.SerializeAsString() == expected.SerializeAsString());
    REQUIRE(buffer.Length() == expected.ByteSizeLong());
  }
}

TEST_CASE("DecodeMessage refuses what is too long or no message") {
  v1::Chunk chunk;
  const std::string junk = "\xff\xff\xff";
  const grpc::Slice slice(junk);
  REQUIRE(absl::IsInvalidArgument(DecodeMessage(grpc::ByteBuffer(&slice, 1), &chunk)));
  REQUIRE(
      absl::IsInvalidArgument(DecodeMessage(EncodeChunk(0, std::string(3 << 20, 'x')), &chunk)));
}

TEST_CASE("chunk counts and lengths") {
  constexpr uint64_t kMiB = base::kChunkBytes;
  REQUIRE(ChunkCount(0) == 0);
  REQUIRE(ChunkCount(1) == 1);
  REQUIRE(ChunkCount(kMiB) == 1);
  REQUIRE(ChunkCount(kMiB + 1) == 2);
  REQUIRE(ChunkLength(kMiB + 1, 0) == kMiB);
  REQUIRE(ChunkLength(kMiB + 1, 1) == 1);
  REQUIRE(ChunkLength(kMiB + 1, 2) == 0);
  REQUIRE(ChunkCount(UINT64_MAX) == (uint64_t{1} << 44));
}

}  // namespace crowdteach::wire
