#include "server/rpc/context.h"

#include <string_view>

#include "proto/base/bytes.h"

namespace crowdteach::server {

bool TransferSlots::Take(uint64_t account) {
  const std::lock_guard lock(mutex_);
  size_t& taken = taken_[account];
  if (taken >= kMaxOfAccount) return false;
  ++taken;
  return true;
}

void TransferSlots::Give(uint64_t account) {
  const std::lock_guard lock(mutex_);
  const auto found = taken_.find(account);
  if (--found->second == 0) taken_.erase(found);
}

void RunningUploads::Enter(grpc::CallbackServerContext* call, uint64_t account,
                           std::string digest) {
  const std::lock_guard lock(mutex_);
  running_[call] = {account, std::move(digest)};
}

void RunningUploads::Leave(grpc::CallbackServerContext* call) {
  const std::lock_guard lock(mutex_);
  running_.erase(call);
}

void RunningUploads::Displace(uint64_t account, std::string_view digest) {
  const std::lock_guard lock(mutex_);
  for (const auto& [call, upload] : running_) {
    if (upload.first == account && upload.second == digest) call->TryCancel();
  }
}

StatusOr<uint64_t> RpcContext::Authenticate(const grpc::CallbackServerContext& call) {
  constexpr std::string_view kPrefix = "Bearer ";
  const auto& metadata = call.client_metadata();
  const auto found = metadata.find("authorization");
  if (found == metadata.end()) {
    return Unauthenticated("this call needs a session: call OpenSession and send its token");
  }
  std::string_view value(found->second.data(), found->second.size());
  StatusOr<std::string> token = std::string();
  if (value.substr(0, kPrefix.size()) == kPrefix && value.size() == kPrefix.size() + 64) {
    token = base::ParseHex(value.substr(kPrefix.size()));
  }
  const auto account =
      token.ok() && !token->empty() ? sessions.AccountOf(*token, now_ms()) : std::nullopt;
  if (!account.has_value()) {
    return Unauthenticated("the session is unknown or over: open a new one");
  }
  return *account;
}

StatusOr<uint64_t> RpcContext::AuthenticateIfShown(const grpc::CallbackServerContext& call) {
  if (call.client_metadata().find("authorization") == call.client_metadata().end()) return 0;
  return Authenticate(call);
}

}  // namespace crowdteach::server
