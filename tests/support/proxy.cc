#include "tests/support/proxy.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "proto/base/assert.h"
#include "proto/wire/credentials.h"

namespace crowdteach::testing {

Proxy::Proxy(const std::string& coordinator, const wire::ServerIdentity& identity, ProxyHooks hooks)
    : hooks_(std::move(hooks)),
      stub_(v1::Coordinator::NewStub(wire::PinnedChannel(coordinator, identity.ca_pem))) {
  grpc::ServerBuilder builder;
  wire::ApplyServerSettings(builder);
  builder.AddListeningPort("127.0.0.1:0", wire::ServerCredentials(identity), &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  CT_ASSERT(server_ != nullptr && port_ != 0);
}

Proxy::~Proxy() { server_->Shutdown(std::chrono::system_clock::now()); }

namespace {

constexpr char kAuthorization[] = "authorization";

std::string Authorization(const grpc::ServerContext& context) {
  const auto found = context.client_metadata().find(kAuthorization);
  if (found == context.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

std::string TokenOf(const grpc::ServerContext& context) {
  const std::string value = Authorization(context);
  return value.substr(std::min(value.size(), std::string("Bearer ").size()));
}

}  // namespace

// Ends with the call it is for, and carries its token.
std::unique_ptr<grpc::ClientContext> Proxy::Onward(const grpc::ServerContext& context) {
  auto onward = grpc::ClientContext::FromServerContext(context);
  const std::string value = Authorization(context);
  if (!value.empty()) onward->AddMetadata(kAuthorization, value);
  return onward;
}

uint64_t Proxy::Begin(const grpc::ServerContext& context, const std::string& method,
                      google::protobuf::Message* request) {
  const std::lock_guard lock(mutex_);
  const uint64_t call = calls_++;
  if (hooks_.request) hooks_.request(call, method, TokenOf(context), request);
  return call;
}

void Proxy::Reply(uint64_t call, google::protobuf::Message* reply) {
  const std::lock_guard lock(mutex_);
  if (hooks_.reply) hooks_.reply(call, reply);
}

grpc::Status Proxy::End(uint64_t call, const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  if (hooks_.end) hooks_.end(call, status);
  return status;
}

grpc::Status Proxy::Upload(grpc::ServerContext* context, grpc::ServerReader<v1::UploadPart>* reader,
                           v1::UploadReply* reply) {
  v1::UploadPart part;
  if (!reader->Read(&part)) return {grpc::StatusCode::INVALID_ARGUMENT, "an upload of nothing"};
  const uint64_t call = Begin(*context, "Upload", &part);
  const auto onward = Onward(*context);
  const auto writer = stub_->Upload(onward.get(), reply);
  while (writer->Write(part) && reader->Read(&part)) {
    const std::lock_guard lock(mutex_);
    if (hooks_.request) hooks_.request(call, "Upload", TokenOf(*context), &part);
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (status.ok()) Reply(call, reply);
  return End(call, status);
}

}  // namespace crowdteach::testing
