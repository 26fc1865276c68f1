// A gRPC call by the bytes that were recorded, whatever kind of method it is of.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "tests/support/catch.h"

namespace crowdteach::testing {

class RawCall {
 public:
  RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
          const std::string& token)
      : stub_(channel) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    if (!token.empty()) context_.AddMetadata("authorization", "Bearer " + token);
    call_ = stub_.PrepareCall(&context_, "/crowdteach.v1.Coordinator/" + method, &queue_);
    call_->StartCall(this);
    Wait();
  }
  ~RawCall() {
    context_.TryCancel();
    if (!finished_) Finish();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  RawCall(const RawCall&) = delete;
  RawCall& operator=(const RawCall&) = delete;

  void Write(const std::string& bytes) {
    const grpc::Slice slice(bytes);
    call_->Write(grpc::ByteBuffer(&slice, 1), this);
    Wait();
  }
  void WritesDone() {
    if (std::exchange(done_, true)) return;
    call_->WritesDone(this);
    Wait();
  }
  std::optional<std::string> Read() {
    WritesDone();
    grpc::ByteBuffer buffer;
    call_->Read(&buffer, this);
    if (!Wait()) return std::nullopt;
    std::vector<grpc::Slice> slices;
    REQUIRE(buffer.Dump(&slices).ok());
    std::string bytes;
    for (const grpc::Slice& slice : slices) {
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return bytes;
  }
  grpc::Status Finish() {
    WritesDone();
    finished_ = true;
    call_->Finish(&status_, this);
    Wait();
    return status_;
  }

 private:
  bool Wait() {
    void* tag = nullptr;
    bool ok = false;
    REQUIRE(queue_.Next(&tag, &ok));
    return ok;
  }

  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::Status status_;
  bool done_ = false;
  bool finished_ = false;
};

}  // namespace crowdteach::testing
