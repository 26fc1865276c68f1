// What the RPC handlers share.
//
// Thread-safety: any thread; outlives every handler.
#pragma once

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "proto/wire/certificates.h"
#include "server/coordinator.h"
#include "server/rpc/disk_pool.h"
#include "server/rpc/sessions.h"

namespace crowdteach::server {

// Uploads and downloads running for one account, bounded.
class TransferSlots {
 public:
  static constexpr size_t kMaxOfAccount = 16;
  bool Take(uint64_t account);
  void Give(uint64_t account);

 private:
  std::mutex mutex_;
  std::map<uint64_t, size_t> taken_;
};

// The upload streams under way, so that a sender whose link broke need not wait until the stream it
// lost is noticed to be dead.
class RunningUploads {
 public:
  void Enter(grpc::CallbackServerContext* call, uint64_t account, std::string digest);
  void Leave(grpc::CallbackServerContext* call);
  // Ends the account's own upload of this blob, if there is one.
  void Displace(uint64_t account, std::string_view digest);

 private:
  std::mutex mutex_;
  std::map<grpc::CallbackServerContext*, std::pair<uint64_t, std::string>> running_;
};

struct RpcContext {
  Coordinator& coordinator;
  base::Hash ca_digest{};
  std::function<uint64_t()> now_ms;    // wall clock
  std::vector<std::string> addresses;  // that Hello tells
  Sessions sessions;
  TransferSlots transfers;
  RunningUploads uploads;
  DiskPool disk{4};

  // The caller's account, from its `authorization: Bearer ‹hex›`. kUnauthenticated.
  StatusOr<uint64_t> Authenticate(const grpc::CallbackServerContext& call);
  // The same, but 0 for a caller that shows no session: for what everybody may read.
  StatusOr<uint64_t> AuthenticateIfShown(const grpc::CallbackServerContext& call);
};

// The catch-all of a handler: what it throws becomes kInternal, and is logged.
template <typename F>
Status Guarded(const char* method, F&& handler) {
  try {
    return handler();
  } catch (const std::exception& error) {
    spdlog::error("{}: {}", method, error.what());
  } catch (...) {
    spdlog::error("{}: an unknown exception", method);
  }
  return Internal("{} failed inside the coordinator; its log says why", method);
}

}  // namespace crowdteach::server
