#include "ledger/words.h"

namespace crowdteach::ledger {

std::string LowerCase(std::string name) {
  for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(c | 0x20);
  return name;
}

std::string InWords(v1::RejectReason reason) { return LowerCase(v1::RejectReason_Name(reason)); }

std::string_view WhyRejected(v1::RejectReason reason) {
  switch (reason) {
    case v1::SHAPE:
      return "its size is not the model's";
    case v1::NORM:
      return "larger than the norm cap";
    case v1::NO_REVEAL:
      return "committed, but not there by the deadline";
    case v1::DUPLICATE:
      return "the same as one committed before";
    case v1::DIVERGES:
      return "the loss with it is not finite";
    case v1::UNCOVERED:
      return "its charge was more than earnings and stake: both are lost, and its teacher is not "
             "drawn any more";
    default:
      return "another reason";
  }
}

std::string_view InWords(v1::AbortReason reason) {
  switch (reason) {
    case v1::COMMIT_QUORUM:
      return "too few teachers committed in time";
    case v1::REVEAL_QUORUM:
      return "too few valid updates arrived in time";
    case v1::COVER_QUORUM:
      return "too few teachers were left whose stake covers their charge";
    case v1::NOT_FINITE:
      return "loss or gradient was not finite, by the coordinator's word";
    case v1::SCORE_RANGE:
      return "a score was out of range";
    case v1::WORKER_FAILED:
      return "the coordinator's worker failed, by its word";
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
