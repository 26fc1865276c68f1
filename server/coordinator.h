// The coordinator: owns the log, the clock, the writer thread and the jobs, and decides nothing.
//
// What is legal is ledger::State's to say; when to propose what is Step's (round/step.h).
// Everything that changes state runs on one writer thread, in batches: each batch is one
// transaction of ledger entries, engine rows and outbox. Callbacks come after the batch is durable
// and the head signed.
//
// Thread-safety: all methods may be called from any thread. Callbacks run on the writer thread and
// must not block. No gRPC here: server/rpc adapts it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crowdteach/v1/coordinator.pb.h"
#include "crowdteach/v1/ledger.pb.h"
#include "ledger/artifact_store.h"
#include "ledger/signature.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "server/access_log.h"

namespace crowdteach::server {

struct CoordinatorOptions {
  std::string home;       // directory, mode 0700: keys, database, head, artifacts
  std::string head_path;  // default: ‹home›/head
  std::string asset = "credits";
  std::string worker_path;  // crowdteach-worker
  uint64_t worker_memory_bytes = uint64_t{4} << 30;
  uint32_t worker_threads = 1;
  bool sandbox = true;
  bool allow_model_code = false;  // TorchScript; only in the sandbox
  // Of one account, what it uploads and no campaign names (two of the largest).
  uint64_t unnamed_bytes_of_account = uint64_t{32} << 30;
  std::function<uint64_t()> now_ms;  // wall clock; tests put their own
  // Called once, on the writer thread, when the log can no longer be trusted to be written (a head
  // that could not be signed durably): the process must stop and start again.
  std::function<void(const Status&)> on_broken;
};

// What came of a submitted intent.
struct SubmitOutcome {
  // OK: logged (now, or before with the same bytes). kUnavailable, kInternal: not the sender's
  // doing (a full disk, a dead worker); try again. Else a refusal.
  Status status;
  uint64_t index = 0;   // of the entry
  std::string receipt;  // tlog-proof
  uint64_t next_sequence = 0;
  uint64_t log_time_ms = 0;
};

struct AccountInfo {
  uint64_t account = 0;
  std::string name;
  v1::Role role = v1::ROLE_UNSPECIFIED;
  uint64_t next_sequence = 0;
};

class Coordinator {
 public:
  // Makes keys and GENESIS on the first start (home may not exist yet); else replays and resumes.
  // Errors name the file and what to do.
  static StatusOr<std::unique_ptr<Coordinator>> Start(CoordinatorOptions options);
  ~Coordinator();  // finishes the running batch, stops jobs and threads

  const base::Hash& genesis_hash() const;
  std::string log_vkey() const;
  std::string checkpoint() const;
  uint64_t log_size() const;
  // The time an entry would get now: no earlier than the last one's.
  uint64_t log_time_ms() const;
  // kNotFound. `index` of a committed entry.
  StatusOr<std::string> Receipt(uint64_t index) const;
  StatusOr<std::string> ReceiptOfSequence(uint64_t account, uint64_t sequence) const;
  // The committed entries from `first` on that concern the account.
  v1::ListEntriesReply Entries(uint64_t account, uint64_t first) const;
  // As ledger::Log::ConsistencyProof.
  StatusOr<std::vector<base::Hash>> ConsistencyProof(uint64_t old_size, uint64_t size) const;
  std::optional<AccountInfo> FindAccount(std::string_view public_key) const;
  std::optional<AccountInfo> FindAccount(uint64_t account) const;
  v1::GetAccountReply Account(uint64_t account) const;
  v1::ListCampaignsReply Campaigns(uint64_t caller) const;

  // Logs the intent of somebody else. `done` is called exactly once.
  void Submit(v1::SignedIntent intent, std::function<void(SubmitOutcome)> done);
  // A signed statement about something that was not logged, or an upload.
  v1::SignedStatement State(uint64_t account, v1::StatementKind kind, std::string_view subject,
                            std::string_view reason) const;

  // Live streams. `push` is called on the writer thread, also before Attend/Watch returns its id;
  // after Leave has returned it is not called any more. An attendant is first told where the
  // campaign stands, then everything new, once. kNotFound: campaign. kPermissionDenied: not
  // enrolled (Attend). kResourceExhausted: too many streams of this account.
  StatusOr<uint64_t> Attend(uint64_t account, uint64_t campaign,
                            std::function<void(std::shared_ptr<const v1::Notice>)> push);
  StatusOr<uint64_t> Watch(uint64_t account, uint64_t campaign,
                           std::function<void(std::shared_ptr<const v1::CampaignView>)> push);
  void Leave(uint64_t stream);

  // Blobs. May this account read this blob, now? (Terms: base models for the enrolled, updates and
  // validation for their readers.) `account` empty: the public. Returns the campaign whose terms
  // allow it.
  StatusOr<uint64_t> CheckRead(std::optional<uint64_t> account, base::BlobKind kind,
                               const base::Hash& digest) const;
  // Notes durably that a fetch which CheckRead allowed begins (server/access_log.h); the time is
  // filled in. Waits for the disk. An error: it must not begin.
  Status RecordAccess(Access access);
  // May this account upload this blob? An owner its model and validation set (`size_bytes`
  // bounded, also in sum until a campaign names them); a teacher the update it committed to, in the
  // upload phase. What no campaign names within a day is removed.
  Status CheckUpload(uint64_t account, const v1::UploadHead& head) const;
  // An upload is complete and verified: looks at it before its reveal comes. Reads the file.
  void Uploaded(const v1::UploadHead& head);
  ledger::ArtifactStore& artifacts();

  // Operator.
  void Issue(uint64_t to, uint64_t amount, std::string reference,
             std::function<void(SubmitOutcome)> done);
  // `token_key`: the public half of the invite's token, made by the caller.
  void Invite(std::string token_key, v1::Role role, uint32_t uses, uint64_t expires_ms,
              uint64_t stake_grant, std::function<void(SubmitOutcome)> done);
  // Account number by number, "operator" or unique name. kNotFound, kInvalidArgument (ambiguous).
  StatusOr<uint64_t> ResolveAccount(std::string_view name) const;
  // Writes ‹directory›/log.bundle and, if asked, ‹directory›/artifacts/‹digest hex›, without what
  // its campaign still keeps secret.
  struct Exported {
    uint64_t entries = 0;
    uint64_t artifacts = 0;
    uint64_t lapsed = 0;  // updates that were removed after their retention
  };
  StatusOr<Exported> Export(const std::string& directory, bool with_artifacts);
  // The bundle's bytes of the committed log (for the web port).
  Status WriteBundle(const std::function<Status(std::string_view)>& sink) const;

 private:
  struct Impl;
  explicit Coordinator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace crowdteach::server
