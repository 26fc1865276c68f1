// A person's session with a coordinator. Trusts nothing it is told: what matters comes as receipts
// checked against the log key of the invite, and blobs are checked against their digests.
//
// Call order: Connect (then Register, once in a life, if there is no account yet), then anything.
// After kUnavailable, call again, or Connect again with the same home: what was in flight is
// settled first. A session that the coordinator forgot, because it was restarted, is opened anew.
// Thread-safety: one thread, but for Attend's stream, which one other thread may read, and Cancel.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/home.h"
#include "crowdteach/v1/coordinator.pb.h"
#include "ledger/entry.h"
#include "ledger/note.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// What an invite says, without gRPC: see proto/wire/invite.h for the file.
struct SessionOptions {
  std::string server;                  // --server: tried first, and kept if it answers
  std::vector<std::string> addresses;  // then, after those kept in the home, in this order
  std::string ca_pem;
  std::string log_vkey;
  bool invite_first = false;  // `addresses` before those kept in the home
};

struct VerifiedEntry {
  ledger::LoggedEntry logged;
  std::string receipt;
};

// Called as a blob moves: bytes so far, bytes in all.
using TransferProgress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;

class Session {
 public:
  // Tries every address once, in order. kUnavailable: no address answers, or its certificate is not
  // of the invite's CA (the message says which). kFailedPrecondition: incompatible versions.
  // kDataLoss: this is not the invite's log; with IsFork: it was rolled back or forked since this
  // home last saw it.
  static StatusOr<std::unique_ptr<Session>> Connect(Home* home, const SessionOptions& options);
  virtual ~Session() = default;

  // 0: this key has no account yet.
  virtual uint64_t account() const = 0;
  virtual v1::Role role() const = 0;
  virtual const base::Hash& genesis_hash() const = 0;

  // Opens the account. `token` is the invite's. Idempotent.
  virtual Status Register(const ledger::SigningKey& token, uint64_t invite_index,
                          const std::string& name) = 0;

  // Signs `body` (account, sequence, genesis and not-after are filled in), has it logged and
  // returns the verified entry. kFailedPrecondition: refused; the message is the coordinator's
  // signed reason, kept among the home's statements. May be called again after kUnavailable.
  virtual StatusOr<VerifiedEntry> Submit(v1::Intent body) = 0;

  // Checks a receipt: log key, inclusion, that its head is of the log seen so far (kDataLoss with
  // IsFork), and for the operator's entries the operator's signature.
  virtual StatusOr<VerifiedEntry> Verify(const std::string& receipt) = 0;

  // Fetches what the home lacks of the entries that concern the account, verified, and with them
  // the CAMPAIGN_OPENs it is enrolled in. kFailedPrecondition: the coordinator is too old to list
  // them.
  virtual Status FetchReceipts() = 0;
  virtual StatusOr<v1::GetAccountReply> GetAccount() = 0;
  // These two need no account.
  virtual StatusOr<v1::ListCampaignsReply> ListCampaigns() = 0;
  // The verified CAMPAIGN_OPEN. kNotFound.
  virtual StatusOr<VerifiedEntry> FindCampaign(uint64_t campaign) = 0;

  // Calls `take` for each notice until the stream ends, `take` returns false, or Cancel.
  virtual Status Attend(uint64_t campaign, const std::function<bool(const v1::Notice&)>& take) = 0;
  virtual Status Watch(uint64_t campaign,
                       const std::function<bool(const v1::CampaignView&)>& take) = 0;
  virtual void Cancel() = 0;  // ends Attend and Watch, from any thread

  // Into home->blobs(), resumed and verified; does nothing if it is there already. `size_bytes` is
  // known from the ledger, so no peer decides how much is taken.
  virtual Status Download(base::BlobKind kind, const base::Hash& digest, uint64_t size_bytes,
                          const TransferProgress& progress) = 0;
  // A blob of home->blobs(), resumed where the coordinator has it. `campaign` and `round` matter
  // for updates.
  virtual Status Upload(base::BlobKind kind, const base::Hash& digest, uint64_t campaign,
                        uint32_t round, const TransferProgress& progress) = 0;
};

}  // namespace crowdteach::client
