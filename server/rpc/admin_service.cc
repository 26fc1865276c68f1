#include "server/rpc/admin_service.h"

#include <filesystem>
#include <utility>

#include "ledger/signature.h"
#include "proto/wire/invite.h"
#include "proto/wire/status.h"

namespace crowdteach::server {
namespace {

constexpr uint64_t kMaxInviteMs = uint64_t{3660} * 86'400'000;

Status CheckInvite(const v1::MakeInviteRequest& request, const Advertised& advertised) {
  if (request.uses() == 0) return InvalidArgument("an invite needs at least one use");
  if (request.valid_ms() == 0 || request.valid_ms() > kMaxInviteMs) {
    return InvalidArgument("an invite is valid for at most ten years, and not for nothing");
  }
  if (advertised.addresses.empty()) {
    return FailedPrecondition(
        "the coordinator listens on every address and does not know which one "
        "people reach: restart it with --advertise HOST:PORT");
  }
  return OkStatus();
}

// A refusal as it is, a failure to log marked as ours.
Status Told(const Status& status) {
  return absl::IsUnavailable(status) ? wire::WithDetail(status, kOwnFailure) : status;
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::IssueCredits(grpc::CallbackServerContext* call,
                                                     const v1::IssueCreditsRequest* request,
                                                     v1::IssueCreditsReply* reply) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  uint64_t to = 0;
  const Status status = Guarded("IssueCredits", [&]() -> Status {
    if (request->amount() == 0) return InvalidArgument("issue at least one credit");
    CT_ASSIGN_OR_RETURN(to, context_->coordinator.ResolveAccount(request->to()));
    return OkStatus();
  });
  if (!status.ok()) {
    reactor->Finish(wire::ToGrpc(status));
    return reactor;
  }
  context_->coordinator.Issue(
      to, request->amount(), request->reference(),
      [this, reactor, reply, to](SubmitOutcome outcome) {
        reactor->Finish(wire::ToGrpc(Guarded("IssueCredits", [&]() -> Status {
          CT_RETURN_IF_ERROR(Told(outcome.status));
          reply->set_account(to);
          reply->set_index(outcome.index);
          reply->set_available(context_->coordinator.Account(to).available());
          return OkStatus();
        })));
      });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::MakeInvite(grpc::CallbackServerContext* call,
                                                   const v1::MakeInviteRequest* request,
                                                   v1::MakeInviteReply* reply) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  const Status status = Guarded("MakeInvite", [&] { return CheckInvite(*request, advertised_); });
  if (!status.ok()) {
    reactor->Finish(wire::ToGrpc(status));
    return reactor;
  }
  const ledger::SigningKey token = ledger::SigningKey::Generate();
  wire::Invite invite;
  invite.role = request->role();
  invite.expires_ms = context_->now_ms() + request->valid_ms();
  invite.addresses = advertised_.addresses;
  invite.web_addresses = advertised_.web_addresses;
  invite.log_vkey = context_->coordinator.log_vkey();
  invite.token_seed = token.seed();
  invite.ca_pem = advertised_.ca_pem;
  context_->coordinator.Invite(
      token.public_key(), request->role(), request->uses(), invite.expires_ms,
      request->stake_grant(), [reactor, reply, invite](SubmitOutcome outcome) mutable {
        reactor->Finish(wire::ToGrpc(Guarded("MakeInvite", [&]() -> Status {
          CT_RETURN_IF_ERROR(Told(outcome.status));
          invite.index = outcome.index;
          reply->set_invite(wire::FormatInvite(invite));
          reply->set_index(outcome.index);
          return OkStatus();
        })));
      });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::Export(grpc::CallbackServerContext* call,
                                               const v1::ExportRequest* request,
                                               v1::ExportReply* reply) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  context_->disk.Post([context = context_, reactor, request, reply] {
    reactor->Finish(wire::ToGrpc(Guarded("Export", [&]() -> Status {
      if (!std::filesystem::path(request->directory()).is_absolute()) {
        return InvalidArgument("\"{}\" is not an absolute path", request->directory());
      }
      const auto counts =
          context->coordinator.Export(request->directory(), request->with_artifacts());
      if (!counts.ok()) return wire::WithDetail(counts.status(), kOwnFailure);
      reply->set_entries(counts->entries);
      reply->set_artifacts(counts->artifacts);
      reply->set_lapsed(counts->lapsed);
      return OkStatus();
    })));
  });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::GetStatus(grpc::CallbackServerContext* call,
                                                  const v1::GetStatusRequest*,
                                                  v1::GetStatusReply* reply) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(wire::ToGrpc(Guarded("GetStatus", [&]() -> Status {
    reply->set_log_size(context_->coordinator.log_size());
    reply->set_checkpoint(context_->coordinator.checkpoint());
    reply->set_sessions(static_cast<uint32_t>(context_->sessions.size()));
    for (const std::string& address : advertised_.addresses) reply->add_addresses(address);
    for (const std::string& address : advertised_.web_addresses) {
      reply->add_addresses("https://" + address);
    }
    return OkStatus();
  })));
  return reactor;
}

}  // namespace crowdteach::server
