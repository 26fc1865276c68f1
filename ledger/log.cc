#include "ledger/log.h"

#include <algorithm>
#include <utility>

#include "ledger/checkpoint.h"
#include "ledger/file_io.h"
#include "ledger/receipt.h"
#include "proto/base/assert.h"
#include "proto/base/exit_codes.h"

namespace crowdteach::ledger {
namespace {

constexpr size_t kHeadRoomBytes = 4096;  // a signed note of one signature has a few hundred

}  // namespace

struct Log::Impl {
  Impl(LogStore* store, SigningKey key, std::string origin, Options options)
      : store(store),
        key(std::move(key)),
        origin(std::move(origin)),
        verifier(MakeVerifierKey(this->origin, this->key.public_key())),
        options(std::move(options)) {}

  Status Load();
  Status ReplayTo(uint64_t size);
  Status CheckIdentity() const;
  StatusOr<std::optional<Checkpoint>> ReadHead() const;
  Status CheckHead(const Checkpoint& head) const;
  Status SignHead();
  Status DropBatch();

  LogStore* store;
  SigningKey key;
  std::string origin;
  VerifierKey verifier;
  Options options;
  uint64_t epoch = 0;
  uint64_t committed = 0;
  State state;      // with the batch
  MerkleTree tree;  // with the batch
  std::vector<std::string> batch;
  std::string checkpoint;
  Status health;
};

Status Log::Impl::ReplayTo(uint64_t size) {
  state = State();
  tree = MerkleTree();
  return store->ReadEntries(0, size, [&](uint64_t index, std::string_view bytes) -> Status {
    const StatusOr<LoggedEntry> entry = DecodeEntry(bytes);
    const Status applied = entry.ok() ? state.Apply(*entry) : entry.status();
    if (!applied.ok()) {
      return DataLoss(
          "entry {} of the stored log is not legal: {}. The store was changed: restore it", index,
          Message(applied));
    }
    tree.Append(entry->leaf);
    return OkStatus();
  });
}

Status Log::Impl::CheckIdentity() const {
  if (tree.size() == 0) return OkStatus();
  const v1::Genesis& genesis = state.genesis();
  if (genesis.origin() == origin && genesis.log_vkey() == FormatVkey(verifier)) return OkStatus();
  return FailedPrecondition(
      "the stored log belongs to {}, this key and origin are {}: use its own key",
      genesis.log_vkey(), FormatVkey(verifier));
}

StatusOr<std::optional<Checkpoint>> Log::Impl::ReadHead() const {
  const StatusOr<std::string> note = ReadFile(options.head_path, kMaxNoteBytes);
  if (absl::IsNotFound(note.status())) return std::optional<Checkpoint>();
  if (!note.ok()) return Annotate(note.status(), "last signed head");
  StatusOr<Checkpoint> head = OpenCheckpoint(*note, verifier);
  if (!head.ok()) {
    return DataLoss(
        "the last signed head, {}, cannot be trusted: {}. Put the newest checkpoint of this log "
        "you "
        "can find there (an export's, a client's)",
        options.head_path, Message(head.status()));
  }
  return std::optional<Checkpoint>(*std::move(head));
}

Status Log::Impl::CheckHead(const Checkpoint& head) const {
  if (head.size > tree.size()) {
    return AsFork(DataLoss(
        "the store has {} entries, but a head of {} was signed ({}): the store was rolled back. "
        "Restore its newest copy; going on from here would fork the log",
        tree.size(), head.size, options.head_path));
  }
  CT_ASSIGN_OR_RETURN(const base::Hash root, tree.Root(head.size));
  if (root == head.root) return OkStatus();
  return AsFork(DataLoss(
      "the first {} entries of the store have the root {}, but {} was signed ({}): the store was "
      "changed. Restore its newest copy; going on from here would fork the log",
      head.size, base::Hex(root), base::Hex(head.root), options.head_path));
}

Status Log::Impl::SignHead() {
  CT_ASSIGN_OR_RETURN(const base::Hash root, tree.Root(committed));
  const std::string note = SignCheckpoint({origin, committed, root}, key);
  CT_RETURN_IF_ERROR(Annotate(WriteFileAtomically(options.head_path, note), "last signed head"));
  checkpoint = note;
  return OkStatus();
}

Status Log::Impl::Load() {
  // Claimed first: from here on no older writer can append behind our back.
  CT_ASSIGN_OR_RETURN(epoch, store->Claim());
  CT_ASSIGN_OR_RETURN(committed, store->Size());
  CT_RETURN_IF_ERROR(ReplayTo(committed));
  CT_RETURN_IF_ERROR(CheckIdentity());
  CT_ASSIGN_OR_RETURN(const std::optional<Checkpoint> head, ReadHead());
  if (head) {
    CT_RETURN_IF_ERROR(CheckHead(*head));
  } else if (committed > 0) {
    return DataLoss(
        "the log has {} entries, but its last signed head is not at {}: without it a rolled back "
        "store cannot be told. Put the newest checkpoint of this log you can find there (an "
        "export's, a client's)",
        committed, options.head_path);
  }
  // Also after a crash between commit and signing: those entries are durable and legal. The head
  // of an empty log is written too, so that a missing head always means a lost one.
  return SignHead();
}

Status Log::Impl::DropBatch() {
  batch.clear();
  health = Annotate(ReplayTo(committed), "reading the log back after a dropped batch");
  return health;
}

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::~Log() = default;

StatusOr<std::unique_ptr<Log>> Log::Open(LogStore* store, SigningKey log_key, std::string origin,
                                         Options options) {
  auto impl =
      std::make_unique<Impl>(store, std::move(log_key), std::move(origin), std::move(options));
  CT_RETURN_IF_ERROR(impl->Load());
  return std::unique_ptr<Log>(new Log(std::move(impl)));
}

const State& Log::state() const { return impl_->state; }
size_t Log::pending() const { return impl_->batch.size(); }
Status Log::health() const { return impl_->health; }
uint64_t Log::size() const { return impl_->committed; }

StatusOr<LoggedEntry> Log::Draft(const v1::SignedIntent& intent, uint64_t now_ms) {
  CT_RETURN_IF_ERROR(impl_->health);
  State& state = impl_->state;
  CT_ASSIGN_OR_RETURN(LoggedEntry logged,
                      state.Append(intent, std::max(now_ms, state.last_time_ms())));
  impl_->tree.Append(logged.leaf);
  impl_->batch.push_back(logged.bytes);
  return logged;
}

Status Log::Commit(std::vector<RowWrite> rows) {
  CT_RETURN_IF_ERROR(impl_->health);
  if (impl_->batch.empty() && rows.empty()) return OkStatus();
  AppendRequest request;
  request.epoch = impl_->epoch;
  request.size = impl_->committed;
  request.entries = std::exchange(impl_->batch, {});
  request.rows = std::move(rows);
  // A head that finds no room after its entries are durable would stop the log.
  Status stored = ReserveForWrite(impl_->options.head_path, kHeadRoomBytes);
  if (stored.ok()) stored = impl_->store->Append(request);
  if (!stored.ok()) {
    if (request.entries.empty()) return stored;
    const Status dropped = impl_->DropBatch();
    if (dropped.ok()) return stored;
    return Status(stored.code(), fmt::format("{}; then {}", Message(stored), Message(dropped)));
  }
  if (request.entries.empty()) return OkStatus();
  impl_->committed += request.entries.size();
  impl_->health = impl_->SignHead();
  return impl_->health;
}

Status Log::Discard() {
  CT_RETURN_IF_ERROR(impl_->health);
  return impl_->batch.empty() ? OkStatus() : impl_->DropBatch();
}

std::string Log::checkpoint() const { return impl_->committed == 0 ? "" : impl_->checkpoint; }

StatusOr<std::string> Log::Receipt(uint64_t index) const {
  CT_RETURN_IF_ERROR(impl_->health);
  if (index >= impl_->committed) {
    return NotFound("no receipt for entry {}: the log has {}", index, impl_->committed);
  }
  ReceiptParts parts;
  parts.index = index;
  parts.checkpoint = impl_->checkpoint;
  CT_ASSIGN_OR_RETURN(parts.entry, impl_->store->ReadEntry(index));
  CT_ASSIGN_OR_RETURN(parts.proof, impl_->tree.InclusionProof(index, impl_->committed));
  return FormatReceipt(parts);
}

StatusOr<std::vector<base::Hash>> Log::ConsistencyProof(uint64_t old_size, uint64_t size) const {
  CT_RETURN_IF_ERROR(impl_->health);
  if (size > impl_->committed) {
    return OutOfRange("the log has {} entries, not {}", impl_->committed, size);
  }
  return impl_->tree.ConsistencyProof(old_size, size);
}

}  // namespace crowdteach::ledger
