// A proxy between a real client and a real coordinator that sees every message and may change it.
//
// Thread-safety: hooks are called from gRPC's threads, one at a time. The proxy's listener shows
// the coordinator's own certificate, so clients cannot tell it apart.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "crowdteach/v1/coordinator.grpc.pb.h"
#include "proto/wire/certificates.h"

namespace crowdteach::testing {

struct ProxyHooks {
  // `call` numbers the calls from 0, in the order in which they began. `token`: the session's, hex.
  std::function<void(uint64_t call, const std::string& method, const std::string& token,
                     google::protobuf::Message* message)>
      request;
  std::function<void(uint64_t call, google::protobuf::Message* message)> reply;
  std::function<void(uint64_t call, const grpc::Status& status)> end;
};

class Proxy final : public v1::Coordinator::Service {
 public:
  // Listens on a free port of 127.0.0.1 for what is meant for `coordinator`, "host:port".
  Proxy(const std::string& coordinator, const wire::ServerIdentity& identity, ProxyHooks hooks);
  ~Proxy() override;
  int port() const { return port_; }

#define CT_PROXY_UNARY(Name)                                                        \
  grpc::Status Name(grpc::ServerContext* context, const v1::Name##Request* request, \
                    v1::Name##Reply* reply) override {                              \
    return Unary(context, #Name, &v1::Coordinator::Stub::Name, *request, reply);    \
  }
  CT_PROXY_UNARY(Hello)
  CT_PROXY_UNARY(OpenSession)
  CT_PROXY_UNARY(GetConsistency)
  CT_PROXY_UNARY(Submit)
  CT_PROXY_UNARY(GetReceipt)
  CT_PROXY_UNARY(ListEntries)
  CT_PROXY_UNARY(GetAccount)
  CT_PROXY_UNARY(ListCampaigns)
  CT_PROXY_UNARY(GetUpload)
#undef CT_PROXY_UNARY

#define CT_PROXY_STREAM(Name, Reply)                                                \
  grpc::Status Name(grpc::ServerContext* context, const v1::Name##Request* request, \
                    grpc::ServerWriter<v1::Reply>* writer) override {               \
    return Stream(context, #Name, &v1::Coordinator::Stub::Name, *request, writer);  \
  }
  CT_PROXY_STREAM(Attend, Notice)
  CT_PROXY_STREAM(Watch, CampaignView)
  CT_PROXY_STREAM(Download, Chunk)
#undef CT_PROXY_STREAM

  grpc::Status Upload(grpc::ServerContext* context, grpc::ServerReader<v1::UploadPart>* reader,
                      v1::UploadReply* reply) override;

 private:
  static std::unique_ptr<grpc::ClientContext> Onward(const grpc::ServerContext& context);
  uint64_t Begin(const grpc::ServerContext& context, const std::string& method,
                 google::protobuf::Message* request);
  void Reply(uint64_t call, google::protobuf::Message* reply);
  grpc::Status End(uint64_t call, const grpc::Status& status);

  template <typename Method, typename In, typename Out>
  grpc::Status Unary(grpc::ServerContext* context, const std::string& name, Method method,
                     const In& request, Out* reply) {
    In sent = request;
    const uint64_t call = Begin(*context, name, &sent);
    const auto onward = Onward(*context);
    const grpc::Status status = ((*stub_).*method)(onward.get(), sent, reply);
    if (status.ok()) Reply(call, reply);
    return End(call, status);
  }

  template <typename Method, typename In, typename Out>
  grpc::Status Stream(grpc::ServerContext* context, const std::string& name, Method method,
                      const In& request, grpc::ServerWriter<Out>* writer) {
    In sent = request;
    const uint64_t call = Begin(*context, name, &sent);
    const auto onward = Onward(*context);
    const auto reader = ((*stub_).*method)(onward.get(), sent);
    Out reply;
    while (reader->Read(&reply)) {
      Reply(call, &reply);
      if (!writer->Write(reply)) onward->TryCancel();
    }
    return End(call, reader->Finish());
  }

  const ProxyHooks hooks_;
  std::unique_ptr<v1::Coordinator::Stub> stub_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::mutex mutex_;
  uint64_t calls_ = 0;
};

}  // namespace crowdteach::testing
