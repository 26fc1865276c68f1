// ROUND_OPEN, UPDATE_COMMIT, ROUND_COMMIT_CLOSE, UPDATE_REVEAL, UPDATE_REJECT.
#include <algorithm>

#include "ledger/round.h"
#include "ledger/selection.h"
#include "ledger/state_rules.h"
#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

Status CheckCandidates(const State& state, const v1::RoundOpen& body,
                       const CampaignState& campaign) {
  const uint64_t least = campaign.open.terms().min_cover();
  uint64_t last = 0;
  for (const uint64_t account : body.candidates()) {
    if (account <= last) {
      return InvalidArgument("candidate {} stands after {}: they must ascend", account, last);
    }
    last = account;
    if (campaign.enrolments.count(account) == 0) {
      return FailedPrecondition("candidate {} is not enrolled in campaign {}", account,
                                body.campaign());
    }
    const int64_t cover = Cover(state, body.campaign(), account);
    if (static_cast<uint64_t>(cover) < least) {
      return FailedPrecondition("candidate {} has {} credits held and staked: min-cover is {}",
                                account, cover, least);
    }
  }
  return OkStatus();
}

Status CompareSelection(const v1::RoundOpen& body, const v1::RoundOpen& expected) {
  if (body.round() != expected.round()) {
    return FailedPrecondition("round {} cannot be opened: the next is {}", body.round(),
                              expected.round());
  }
  if (body.base_digest() != expected.base_digest()) {
    return FailedPrecondition("base model {}: the campaign's model is {}",
                              base::Hex(body.base_digest()), base::Hex(expected.base_digest()));
  }
  if (body.seed() != expected.seed()) {
    return InvalidArgument("selection seed {}: the recorded salts give {}", base::Hex(body.seed()),
                           base::Hex(expected.seed()));
  }
  const auto same = [](const auto& a, const auto& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  };
  if (!same(body.selected(), expected.selected())) {
    return InvalidArgument("the selected teachers are not the {} that the seed draws",
                           expected.selected_size());
  }
  if (!same(body.weights(), expected.weights())) {
    return InvalidArgument("the weights are not those of the terms and the claimed examples");
  }
  return OkStatus();
}

}  // namespace

State::Rules::Decision State::Rules::On(const v1::RoundOpen& body) const {
  CT_RETURN_IF_ERROR(ByOperator());
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign, Campaign(body.campaign()));
  if (campaign->phase != CampaignPhase::kRunning) {
    return FailedPrecondition("campaign {} is {}: it has no more rounds", body.campaign(),
                              Name(campaign->phase));
  }
  if (campaign->round.phase != Phase::kIdle) {
    return FailedPrecondition("round {} of campaign {} is open still", campaign->round.number,
                              body.campaign());
  }
  CT_RETURN_IF_ERROR(CheckCandidates(state, body, *campaign));
  const std::vector<uint64_t> candidates(body.candidates().begin(), body.candidates().end());
  CT_ASSIGN_OR_RETURN(const v1::RoundOpen expected, Select(state, body.campaign(), candidates));
  CT_RETURN_IF_ERROR(CompareSelection(body, expected));
  return Change{{}, [&body, time = time_ms](State& next) {
                  CampaignState& opened = next.campaigns_.at(body.campaign());
                  const bool open = opened.open.terms().open_commitments();
                  RoundState round{.number = body.round(), .opened_ms = time};
                  round.phase = open ? Phase::kUpload : Phase::kCommit;
                  round.commit_closed_ms = open ? time : 0;
                  for (int i = 0; i < body.selected_size(); ++i) {
                    round.seats[body.selected(i)].weight = body.weights(i);
                  }
                  opened.round = std::move(round);
                }};
}

State::Rules::Decision State::Rules::On(const v1::UpdateCommit& body) const {
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign,
                      OpenRound(body.campaign(), body.round(), {Phase::kCommit}));
  CT_ASSIGN_OR_RETURN(const Seat* seat, SeatOf(*campaign, intent.account()));
  if (seat->commitment.has_value()) {
    return absl::AlreadyExistsError(fmt::format("account {} has committed in round {} already",
                                                intent.account(), body.round()));
  }
  CT_ASSIGN_OR_RETURN(const base::Hash commitment, base::HashFromBytes(body.commitment()));
  for (const auto& [account, other] : campaign->round.seats) {
    if (other.commitment == commitment) {
      return absl::AlreadyExistsError(fmt::format(
          "this commitment is account {}'s: a sealed commitment names its author", account));
    }
  }
  return Change{{}, [&body, commitment, account = intent.account()](State& next) {
                  Seat& taken = next.campaigns_.at(body.campaign()).round.seats.at(account);
                  taken.commitment = commitment;
                  taken.commit_index = next.size_;
                }};
}

State::Rules::Decision State::Rules::On(const v1::RoundCommitClose& body) const {
  CT_RETURN_IF_ERROR(ByOperator());
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign,
                      OpenRound(body.campaign(), body.round(), {Phase::kCommit}));
  const size_t count = Commitments(campaign->round);
  if (body.count() != count) {
    return InvalidArgument("count {}: {} teachers have committed", body.count(), count);
  }
  if (!EveryoneCommitted(campaign->round)) {
    const uint64_t deadline_ms = CommitDeadlineMs(*campaign);
    if (time_ms < deadline_ms) {
      return FailedPrecondition("{} of {} have committed: the others may until {} ms, it is {} ms",
                                count, campaign->round.seats.size(), deadline_ms, time_ms);
    }
    if (count < campaign->open.terms().quorum()) {
      return FailedPrecondition("{} have committed and the quorum is {}: abort the round", count,
                                campaign->open.terms().quorum());
    }
  }
  return Change{{}, [&body, time = time_ms](State& next) {
                  RoundState& round = next.campaigns_.at(body.campaign()).round;
                  round.phase = Phase::kUpload;
                  round.commit_closed_ms = time;
                }};
}

State::Rules::Decision State::Rules::On(const v1::UpdateReveal& body) const {
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign,
                      OpenRound(body.campaign(), body.round(), {Phase::kUpload}));
  const uint64_t account = intent.account();
  CT_ASSIGN_OR_RETURN(const Seat* seat, SeatOf(*campaign, account));
  CT_ASSIGN_OR_RETURN(const base::Hash update, base::HashFromBytes(body.update_digest()));
  if (seat->update.has_value()) {
    return absl::AlreadyExistsError(
        fmt::format("account {} has revealed in round {} already", account, body.round()));
  }
  if (seat->rejected != v1::REJECT_REASON_UNSPECIFIED) {
    return FailedPrecondition("account {} was rejected in round {}: {}", account, body.round(),
                              v1::RejectReason_Name(seat->rejected));
  }
  const bool open = campaign->open.terms().open_commitments();
  if (!open) {
    if (!seat->commitment.has_value()) {
      return FailedPrecondition("account {} has not committed in round {}", account, body.round());
    }
    if (SealedCommitment(state.genesis_hash_, body.campaign(), body.round(), account, update,
                         body.salt()) != *seat->commitment) {
      return InvalidArgument("update {} and this salt do not open account {}'s commitment {}",
                             base::Hex(update), account, base::Hex(*seat->commitment));
    }
  }
  return Change{{}, [&body, update, account, open](State& next) {
                  Seat& revealed = next.campaigns_.at(body.campaign()).round.seats.at(account);
                  revealed.update = update;
                  revealed.salt = body.salt();
                  if (open) revealed.commit_index = next.size_;
                }};
}

Status State::Rules::CheckRejectInUpload(const CampaignState& campaign,
                                         const v1::UpdateReject& body, const Seat& seat) const {
  const std::vector<uint64_t> awaited = Awaited(campaign);
  if (body.reason() == v1::NO_REVEAL) {
    if (!std::binary_search(awaited.begin(), awaited.end(), body.account())) {
      return FailedPrecondition("no reveal of account {} is awaited", body.account());
    }
    if (time_ms >= UploadDeadlineMs(campaign)) return OkStatus();
    return FailedPrecondition("account {} may reveal until {} ms and it is {} ms", body.account(),
                              UploadDeadlineMs(campaign), time_ms);
  }
  if (!seat.update.has_value()) {
    return FailedPrecondition("account {} has revealed no update to reject", body.account());
  }
  if (body.reason() == v1::SHAPE) return OkStatus();
  if (body.reason() == v1::NORM) {
    if (campaign.open.terms().norm_rule() == v1::REJECT) return OkStatus();
    return FailedPrecondition("the terms say norm-rule clip: no update is rejected for its norm");
  }
  // DUPLICATE: the earliest commitment may reveal last.
  if (!awaited.empty()) {
    return FailedPrecondition("duplicates are judged when every reveal is in: account {}'s is not",
                              awaited.front());
  }
  const std::vector<uint64_t> duplicates = Duplicates(campaign);
  if (std::binary_search(duplicates.begin(), duplicates.end(), body.account())) return OkStatus();
  return FailedPrecondition("account {}'s update is no duplicate of an earlier commitment's",
                            body.account());
}

State::Rules::Decision State::Rules::On(const v1::UpdateReject& body) const {
  CT_RETURN_IF_ERROR(ByOperator());
  const bool diverges = body.reason() == v1::DIVERGES;
  const bool uncovered = body.reason() == v1::UNCOVERED;
  const Phase phase = diverges ? Phase::kAggregated : uncovered ? Phase::kScored : Phase::kUpload;
  CT_ASSIGN_OR_RETURN(const CampaignState* campaign,
                      OpenRound(body.campaign(), body.round(), {phase}));
  CT_ASSIGN_OR_RETURN(const Seat* seat, SeatOf(*campaign, body.account()));
  if (seat->rejected != v1::REJECT_REASON_UNSPECIFIED) {
    return absl::AlreadyExistsError(fmt::format("account {} was rejected in round {} already: {}",
                                                body.account(), body.round(),
                                                v1::RejectReason_Name(seat->rejected)));
  }
  if (body.pass() != campaign->round.pass) {
    return InvalidArgument("UPDATE_REJECT({}) of pass {}: the round is in pass {}",
                           v1::RejectReason_Name(body.reason()), body.pass(), campaign->round.pass);
  }
  PostingList postings;
  if (uncovered) {
    const std::vector<uint64_t> due = Uncovered(state, body.campaign());
    if (due.empty() || due.front() != body.account()) {
      return FailedPrecondition("account {} is not the next uncovered teacher: {} is",
                                body.account(), due.empty() ? "nobody" : std::to_string(due[0]));
    }
    const BalanceKey held = Held(body.campaign(), body.account());
    const BalanceKey stake = Stake(body.campaign(), body.account());
    postings.Move(held, Treasury(), state.Balance(held));
    postings.Move(stake, Treasury(), state.Balance(stake));
  } else if (diverges) {
    if (!seat->update.has_value()) {
      return FailedPrecondition("account {} is not in the aggregate", body.account());
    }
  } else {
    CT_RETURN_IF_ERROR(CheckRejectInUpload(*campaign, body, *seat));
  }
  return Change{std::move(postings).Take(), [&body](State& next) {
                  Seat& seat = next.campaigns_.at(body.campaign()).round.seats.at(body.account());
                  seat.rejected = body.reason();
                }};
}

}  // namespace crowdteach::ledger
