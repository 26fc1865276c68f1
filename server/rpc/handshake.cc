#include "server/rpc/handshake.h"

#include <spdlog/spdlog.h>

#include <string>
#include <utility>

#include "ledger/canonical.h"
#include "ledger/entry.h"
#include "ledger/signature.h"
#include "proto/base/bytes.h"
#include "proto/base/protocol.h"

namespace crowdteach::server {
namespace {

constexpr char kProgram[] = "crowdteachd " CROWDTEACH_VERSION;

Status CheckVersion(const v1::HelloRequest& request) {
  const Status compatible = base::CheckCompatible(
      {request.program(), request.protocol_version(), request.oldest_protocol()}, {kProgram});
  if (!compatible.ok()) spdlog::warn("a client was turned away: {}", Message(compatible));
  return compatible;
}

// A failure of this machine, to be tried again; all else is a refusal, and evidence.
bool IsOurFailure(const Status& status) {
  return absl::IsInternal(status) || absl::IsUnavailable(status) || absl::IsDataLoss(status) ||
         absl::IsAborted(status) || absl::IsCancelled(status) || absl::IsUnknown(status);
}

}  // namespace

StatusOr<v1::HelloReply> SayHello(const Coordinator& coordinator, const Sessions& sessions,
                                  const v1::HelloRequest& request, uint64_t now_ms) {
  CT_RETURN_IF_ERROR(CheckVersion(request));
  v1::HelloReply reply;
  reply.set_protocol_version(base::kNewestProtocol);
  reply.set_oldest_protocol(base::kOldestProtocol);
  reply.set_program(kProgram);
  CT_ASSIGN_OR_RETURN(*reply.mutable_genesis_receipt(), coordinator.Receipt(0));
  reply.set_log_time_ms(coordinator.log_time_ms());
  reply.set_nonce(sessions.NewNonce(now_ms));
  return reply;
}

StatusOr<v1::OpenSessionReply> OpenSession(const Coordinator& coordinator, Sessions* sessions,
                                           const base::Hash& ca_digest,
                                           const v1::OpenSessionRequest& request, uint64_t now_ms) {
  CT_ASSIGN_OR_RETURN(const auto claim, ledger::Decode<v1::SessionClaim>(request.claim()));
  if (!ledger::VerifyDsse(request.public_key(), ledger::kSessionType, request.claim(),
                          request.signature())) {
    return Unauthenticated("the session claim is not signed by the key it comes with");
  }
  if (claim.genesis() != base::View(coordinator.genesis_hash())) {
    return FailedPrecondition(
        "the session claim is for another log; this coordinator's begins "
        "with entry {}",
        base::Hex(coordinator.genesis_hash()));
  }
  if (claim.ca_digest() != base::View(ca_digest)) {
    return Unauthenticated(
        "the session claim names another CA than this coordinator's: the "
        "connection was not made with this coordinator's invite");
  }
  const auto account = coordinator.FindAccount(request.public_key());
  if (!account.has_value()) {
    return NotFound("no account has the key {}: open one with an invite first",
                    base::Hex(request.public_key()));
  }
  CT_ASSIGN_OR_RETURN(Sessions::Token token,
                      sessions->Open(account->account, claim.nonce(), now_ms));
  v1::OpenSessionReply reply;
  reply.set_token(std::move(token.bytes));
  reply.set_expires_ms(token.expires_ms);
  reply.set_account(account->account);
  reply.set_next_sequence(account->next_sequence);
  reply.set_log_time_ms(coordinator.log_time_ms());
  reply.set_role(account->role);
  return reply;
}

StatusOr<v1::Intent> OpenIntent(const v1::SubmitRequest& request) {
  const std::string& payload = request.intent().payload();
  if (payload.size() > ledger::kMaxEntryBytes || request.intent().signature().size() != 64) {
    return InvalidArgument(
        "an intent of {} bytes with a signature of {}: at most {} and exactly 64", payload.size(),
        request.intent().signature().size(), ledger::kMaxEntryBytes);
  }
  return ledger::DecodeIntent(payload);
}

StatusOr<v1::SubmitReply> AnswerSubmit(const Coordinator& coordinator,
                                       const v1::SubmitRequest& request, uint64_t account,
                                       SubmitOutcome outcome) {
  if (IsOurFailure(outcome.status)) return outcome.status;
  v1::SubmitReply reply;
  reply.set_next_sequence(outcome.next_sequence);
  reply.set_log_time_ms(outcome.log_time_ms);
  if (outcome.status.ok()) {
    reply.set_receipt(std::move(outcome.receipt));
    return reply;
  }
  *reply.mutable_refusal() = coordinator.State(
      account, v1::INTENT_REFUSED, base::View(base::Sha256Of(request.intent().payload())),
      Message(outcome.status));
  return reply;
}

}  // namespace crowdteach::server
