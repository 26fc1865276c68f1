#include "ledger/words.h"

namespace crowdteach::ledger {

std::string LowerCase(std::string name) {
  for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(c | 0x20);
  return name;
}

std::string InWords(v1::RejectReason reason) { return LowerCase(v1::RejectReason_Name(reason)); }

std::string_view InWords(v1::AbortReason reason) {
  switch (reason) {
    case v1::COMMIT_QUORUM:
      return "too few teachers committed in time";
    case v1::REVEAL_QUORUM:
      return "too few updates arrived in time";
    case v1::COVER_QUORUM:
      return "too few teachers were left whose stake covers their charge";
    case v1::NOT_FINITE:
      return "the loss was not a number";
    case v1::SCORE_RANGE:
      return "a score was out of range";
    case v1::WORKER_FAILED:
      return "the coordinator's worker failed";
    default:
      return "another reason";
  }
}

std::string_view InWords(v1::Readers readers) {
  switch (readers) {
    case v1::PUBLIC:
      return "everybody";
    case v1::ENROLLED:
      return "enrolled teachers, auditors and the owner";
    default:
      return "auditors and the owner";
  }
}

}  // namespace crowdteach::ledger
