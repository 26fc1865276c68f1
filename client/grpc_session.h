// Session over gRPC: shared by grpc_session.cc (calls and streams) and grpc_transfer.cc (blobs).
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client/seen_head.h"
#include "client/session.h"
#include "crowdteach/v1/coordinator.grpc.pb.h"
#include "ledger/checkpoint.h"
#include "ledger/note.h"
#include "ledger/receipt.h"
#include "proto/wire/stall.h"
#include "proto/wire/status.h"

namespace crowdteach::client {

inline constexpr int kCallTimeoutS = 60;

// On a clock that nobody sets.
inline void SetTimeout(grpc::ClientContext* context, int seconds) {
  context->set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(seconds, GPR_TIMESPAN)));
}

class GrpcSession : public Session {
 public:
  GrpcSession(Home* home, ledger::VerifierKey log_key, std::string ca_pem)
      : home_(home), log_key_(std::move(log_key)), ca_pem_(std::move(ca_pem)) {}

  Status Open(const std::string& address);

  uint64_t account() const override { return account_; }
  v1::Role role() const override { return role_; }
  const base::Hash& genesis_hash() const override { return genesis_hash_; }
  Status Register(const ledger::SigningKey& token, uint64_t invite_index,
                  const std::string& name) override;
  StatusOr<VerifiedEntry> Submit(v1::Intent body) override;
  StatusOr<VerifiedEntry> Verify(const std::string& receipt) override;
  Status FetchReceipts() override;
  StatusOr<v1::GetAccountReply> GetAccount() override;
  StatusOr<v1::ListCampaignsReply> ListCampaigns() override;
  StatusOr<VerifiedEntry> FindCampaign(uint64_t campaign) override;
  Status Attend(uint64_t campaign, const std::function<bool(const v1::Notice&)>& take) override;
  Status Watch(uint64_t campaign,
               const std::function<bool(const v1::CampaignView&)>& take) override;
  void Cancel() override;
  Status Download(base::BlobKind kind, const base::Hash& digest, uint64_t size_bytes,
                  const TransferProgress& progress) override;
  Status Upload(base::BlobKind kind, const base::Hash& digest, uint64_t campaign, uint32_t round,
                const TransferProgress& progress) override;

 private:
  Status Hello();
  Status OpenSession();
  // Makes an authorized call; a session that the coordinator forgot (it was restarted, or the time
  // is up) is opened anew, once.
  template <typename Call>
  Status Authorized(int timeout_s, Call&& call) {
    for (bool again = account_ != 0;; again = false) {
      grpc::ClientContext context;
      SetTimeout(&context, timeout_s);
      Authorize(&context);
      const Status ended = wire::FromGrpc(call(&context));
      if (!again || !absl::IsUnauthenticated(ended)) return ended;
      CT_RETURN_IF_ERROR(Hello());
      CT_RETURN_IF_ERROR(OpenSession());
    }
  }
  // Sends an intent whose fate is unknown once more. Its entry, if it says the same as `next`.
  StatusOr<std::optional<VerifiedEntry>> SettlePending(const v1::Intent& next);
  StatusOr<ledger::VerifiedReceipt> OpenReceipt(const std::string& receipt) const;
  StatusOr<std::vector<base::Hash>> AskProof(uint64_t old_size, uint64_t size);
  Status FetchReceipt(uint64_t index);
  Status NoteAddresses(const v1::HelloReply& reply);
  Status CheckOperator(const ledger::LoggedEntry& logged) const;
  StatusOr<VerifiedEntry> Send(const v1::SignedIntent& sealed);
  Status ReadRefusal(const v1::SignedStatement& refusal, const v1::SignedIntent& sealed);
  // Verifies a statement about `subject` and keeps it in the home.
  StatusOr<v1::Statement> TakeStatement(const v1::SignedStatement& sealed,
                                        std::string_view subject);
  void Authorize(grpc::ClientContext* context) const;
  Status SendChunks(grpc::ClientWriter<v1::UploadPart>* writer, const v1::UploadHead& head,
                    wire::StallGuard* guard, const TransferProgress& progress);

  // A stream Cancel can end.
  class Streaming {
   public:
    Streaming(GrpcSession* session, grpc::ClientContext* context)
        : session_(session), context_(context) {
      const std::lock_guard lock(session_->streams_mutex_);
      session_->streams_.insert(context_);
      if (session_->cancelled_) context_->TryCancel();
    }
    ~Streaming() {
      const std::lock_guard lock(session_->streams_mutex_);
      session_->streams_.erase(context_);
    }

   private:
    GrpcSession* session_;
    grpc::ClientContext* context_;
  };

  Home* const home_;
  const ledger::VerifierKey log_key_;
  const std::string ca_pem_;
  std::unique_ptr<v1::Coordinator::Stub> stub_;
  base::Hash genesis_hash_{};
  v1::Genesis genesis_;
  std::string nonce_;
  std::string token_;
  uint64_t account_ = 0;
  v1::Role role_ = v1::ROLE_UNSPECIFIED;
  uint64_t next_sequence_ = 0;
  std::optional<SeenHead> seen_;
  std::mutex streams_mutex_;
  std::set<grpc::ClientContext*> streams_;
  bool cancelled_ = false;
};

}  // namespace crowdteach::client
