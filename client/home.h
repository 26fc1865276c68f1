// A person's home directory (mode 0700). One process at a time works in it; others may look on:
//   key            the account's Ed25519 seed, mode 0600
//   invite.toml    the invite last used: where the coordinator is, and whom to trust
//   server         where --server says that the coordinator is
//   addresses      where the coordinator itself says that it is, one a line
//   pending        a signed intent whose fate is not known yet; the same bytes are sent again
//   head           the largest checkpoint seen, a signed note
//   fetched        up to which entry all receipts that concern the account are here
//   receipts/      tlog-proofs, by entry index
//   statements/    what the operator signed beside the ledger: completed uploads, refusals
//   evidence/      heads that contradict `head`
//   rounds/        what was committed to and not revealed yet, by campaign and round
//   blobs/         models and updates by digest
//   scratch/       the files of the training under way
// Everything is written durably before it matters, so that nothing is lost by a crash.
// Not thread-safe, but for SaveReceipt.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/log_clock.h"
#include "crowdteach/v1/ledger.pb.h"
#include "ledger/artifact_store.h"
#include "ledger/key_home.h"
#include "ledger/signature.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// An update that was committed to.
struct PreparedRound {
  uint64_t campaign = 0;
  uint32_t round = 0;
  base::Hash update{};  // blob digest; the bytes are in blobs/
  std::string salt;     // 32 bytes
};

class Home {
 public:
  // Makes the directory and the key if need be. kUnavailable: another process uses it.
  // kPermissionDenied: others may enter it. File errors.
  static StatusOr<std::unique_ptr<Home>> Open(const std::string& path);
  // Looks on, beside a process that may work in it: nothing is signed or in flight, and blobs are
  // not for it. Receipts, statements and evidence are kept: each is true whoever wrote it. Invite,
  // server, addresses, head and fetched are kept if nobody is at work (and the disk takes them),
  // else left to whoever is. kNotFound: there is no such home.
  static StatusOr<std::unique_ptr<Home>> Look(const std::string& path);
  bool looking() const { return blobs_ == nullptr; }
  ~Home();

  const std::string& path() const { return home_.path(); }
  const ledger::SigningKey& key() const { return home_.key(); }
  ledger::ArtifactStore& blobs() { return *blobs_; }  // of the one that works

  Status SaveInvite(std::string_view text);
  // kNotFound: none yet.
  StatusOr<std::string> LoadInvite() const;

  Status SaveServer(const std::string& address);  // empty removes it
  Status SaveAddresses(const std::vector<std::string>& addresses);
  // Where to look for the coordinator before the invite's addresses: `server`, then `addresses`.
  StatusOr<std::vector<std::string>> LoadAddresses() const;

  Status SaveFetched(uint64_t next_index);
  StatusOr<uint64_t> LoadFetched() const;  // 0: nothing yet

  LogClock& log_clock() { return log_clock_; }

  // The intent in flight; empty removes it.
  Status SavePending(const std::optional<v1::SignedIntent>& intent);
  StatusOr<std::optional<v1::SignedIntent>> LoadPending() const;

  Status SaveHead(std::string_view note);
  Status DamagedHead(std::string_view how) const;  // kUnavailable, in words
  // If the file is lost, the newest receipt's; "": there is none either.
  StatusOr<std::string> LoadHead();

  bool HasReceipt(uint64_t index) const;
  Status SaveReceipt(uint64_t index, std::string_view receipt);
  // `statement` is of `kind` and about the blob or intent of digest `subject`.
  Status SaveStatement(const v1::SignedStatement& statement, v1::StatementKind kind,
                       std::string_view subject);
  Status SaveEvidence(const std::string& name, std::string_view bytes);

  Status SaveRound(const PreparedRound& round);
  StatusOr<std::optional<PreparedRound>> LoadRound(uint64_t campaign, uint32_t round) const;
  // After the round is over: drops what was prepared, its update included.
  Status ForgetRound(uint64_t campaign, uint32_t round);

 private:
  Home(ledger::KeyHome home, std::unique_ptr<ledger::ArtifactStore> blobs);
  // Of a file that is not for two to write; looking on, only if it still holds `seen`.
  Status Write(const std::string& name, std::string_view bytes, const std::string* seen = nullptr);
  // Of one that whoever looks on may write at the same time, too.
  Status Keep(const std::string& path, std::string_view bytes) const;
  std::string ReceiptPath(uint64_t index) const;
  std::string RoundPath(uint64_t campaign, uint32_t round) const;

  ledger::KeyHome home_;
  std::unique_ptr<ledger::ArtifactStore> blobs_;  // none: looking on
  std::string head_;                              // the file as it was last read or written here
  LogClock log_clock_;                            // for as long as the process lives
};

}  // namespace crowdteach::client
