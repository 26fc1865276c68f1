#include "client/seen_head.h"

#include <fmt/core.h>

#include <string>
#include <utility>

#include "ledger/merkle.h"
#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"

namespace crowdteach::client {

StatusOr<SeenHead> SeenHead::Load(Home* home, const ledger::VerifierKey& log_key) {
  CT_ASSIGN_OR_RETURN(const std::string note, home->LoadHead());
  if (note.empty()) return SeenHead(home, {});
  StatusOr<ledger::Checkpoint> head = ledger::OpenCheckpoint(note, log_key);
  if (head.ok()) return SeenHead(home, *std::move(head));
  if (absl::IsInvalidArgument(head.status())) return home->DamagedHead(Message(head.status()));
  return FailedPrecondition(
      "{} belongs to another log than {}, which the invite names ({}); use another --home for it",
      home->path(), log_key.name, Message(head.status()));
}

Status SeenHead::Fork(std::string_view note, const ledger::Checkpoint& head,
                      std::string_view what) const {
  const std::string name =
      fmt::format("fork-{}-{}.note", head.size, base::Hex(base::View(head.root)).substr(0, 16));
  const Status kept = home_->SaveEvidence(name, note);
  return AsFork(DataLoss(
      "{}. Stop, keep {}/head and {} (two heads signed by the log's key), and show them to an "
      "auditor",
      what, home_->path(),
      kept.ok()
          ? fmt::format("{}/evidence/{}", home_->path(), name)
          : fmt::format("the following, which could not be saved ({}):\n{}", Message(kept), note)));
}

Status SeenHead::See(std::string_view note, const ledger::Checkpoint& head, const AskProof& ask) {
  if (head.size == head_.size) {
    if (head.root == head_.root) return OkStatus();
    return Fork(note, head,
                fmt::format("the coordinator shows two different logs of {} entries", head.size));
  }
  if (head_.size != 0) {
    const ledger::Checkpoint& older = head.size < head_.size ? head : head_;
    const ledger::Checkpoint& newer = head.size < head_.size ? head_ : head;
    const StatusOr<std::vector<base::Hash>> proof = ask(older.size, newer.size);
    // A coordinator that says it has fewer entries than it signed for has lost some.
    if (!proof.ok() && !absl::IsOutOfRange(proof.status())) return proof.status();
    const Status continues =
        !proof.ok()
            ? proof.status()
            : ledger::VerifyConsistency(older.size, older.root, newer.size, newer.root, *proof);
    if (!continues.ok()) {
      return Fork(note, head,
                  fmt::format("the coordinator cannot show that its log of {} entries begins its "
                              "log of {}: entries were changed or lost ({})",
                              older.size, newer.size, Message(continues)));
    }
  }
  if (head.size < head_.size) return OkStatus();
  CT_RETURN_IF_ERROR(home_->SaveHead(note));
  head_ = head;
  return OkStatus();
}

Status SeenHead::SeeNewest(std::string_view note, const ledger::Checkpoint& head,
                           const AskProof& ask) {
  if (head.size < head_.size) {
    return Fork(note, head,
                fmt::format("the log has {} entries but had {} before: it was rolled back",
                            head.size, head_.size));
  }
  return See(note, head, ask);
}

}  // namespace crowdteach::client
