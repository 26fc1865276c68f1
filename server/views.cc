#include "server/views.h"

#include <algorithm>

#include "ledger/round.h"
#include "ledger/selection.h"
#include "ledger/words.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::server {
namespace {

using ledger::CampaignPhase;
using ledger::CampaignState;
using ledger::Phase;

std::string_view RoundPhaseName(Phase phase) {
  switch (phase) {
    case Phase::kIdle:
      return "waiting";
    case Phase::kCommit:
      return "commit";
    case Phase::kUpload:
      return "upload";
    case Phase::kAggregated:
      return "score";
    case Phase::kScored:
      return "settle";
  }
  CT_ASSERT(false);
  return "";
}

std::string SeatStatus(const ledger::RoundState& round, uint64_t account) {
  const auto found = round.seats.find(account);
  if (found == round.seats.end()) return "idle";
  const ledger::Seat& seat = found->second;
  if (seat.rejected != v1::REJECT_REASON_UNSPECIFIED) {
    return "rejected: " + ledger::InWords(seat.rejected);
  }
  if (round.phase == Phase::kIdle) return "idle";
  if (seat.update.has_value()) return "revealed";
  if (round.phase == Phase::kCommit) return seat.commitment.has_value() ? "committed" : "training";
  return seat.commitment.has_value() ? "uploading" : "absent";
}

// 0: open.
uint64_t PhaseEndMs(const CampaignState& campaign, const EngineState& engine) {
  if (campaign.phase == CampaignPhase::kClosed) {
    return campaign.closed_ms + campaign.open.terms().dispute_ms();
  }
  const Phase phase = campaign.round.phase;
  const bool ended = campaign.phase == CampaignPhase::kEnded;
  if (!ended && phase != Phase::kCommit && phase != Phase::kUpload) return 0;
  if (engine.deadline_ms != 0 && engine.timed_round == campaign.round.number &&
      engine.timed_phase == phase) {
    return engine.deadline_ms;
  }
  if (ended) return campaign.last_round_ms + campaign.open.terms().close_ms();
  return phase == Phase::kCommit ? ledger::CommitDeadlineMs(campaign)
                                 : ledger::UploadDeadlineMs(campaign);
}

uint64_t Left(uint64_t end_ms, uint64_t now_ms) { return end_ms > now_ms ? end_ms - now_ms : 0; }

v1::Notice MakeNotice(v1::Notice::Kind kind, uint32_t round) {
  v1::Notice notice;
  notice.set_kind(kind);
  notice.set_round(round);
  return notice;
}

v1::Notice Task(const CampaignState& campaign, const CampaignMarks& marks, uint64_t left_ms,
                const MakeReceipt& receipt) {
  v1::Notice notice = MakeNotice(v1::Notice::TASK, campaign.round.number);
  notice.add_receipts(receipt(marks.round_open));
  notice.set_time_left_ms(left_ms);
  return notice;
}

v1::Notice CommitClosed(const CampaignState& campaign, const CampaignMarks& marks,
                        const ledger::Seat& seat, uint64_t left_ms, const MakeReceipt& receipt) {
  v1::Notice notice = MakeNotice(v1::Notice::COMMIT_CLOSED, campaign.round.number);
  notice.add_receipts(receipt(seat.commit_index));
  notice.add_receipts(receipt(marks.commit_close));
  notice.set_time_left_ms(left_ms);
  return notice;
}

v1::Notice One(v1::Notice::Kind kind, uint32_t round, uint64_t index, const MakeReceipt& receipt) {
  v1::Notice notice = MakeNotice(kind, round);
  notice.add_receipts(receipt(index));
  return notice;
}

v1::CampaignView::TeacherView MakeTeacher(const ledger::State& state, const CampaignMarks& marks,
                                          uint64_t campaign, uint64_t account, bool connected) {
  const CampaignState& found = *state.FindCampaign(campaign);
  const ledger::Enrolment& enrolment = found.enrolments.at(account);
  v1::CampaignView::TeacherView view;
  view.set_account(account);
  view.set_name(state.FindAccount(account)->name);
  view.set_examples(enrolment.examples);
  view.set_connected(connected);
  view.set_status(SeatStatus(found.round, account));
  view.set_score_q32(enrolment.score_q32);
  const auto last = marks.last_scores.find(account);
  view.set_last_score_q32(last == marks.last_scores.end() ? 0 : last->second);
  view.set_held(state.Balance({v1::HELD, campaign, account}));
  view.set_stake(state.Balance({v1::STAKE, campaign, account}));
  const bool covered = !ledger::CandidatesOf(state, campaign, {account}).empty();
  if (view.status() == "idle" && found.phase == CampaignPhase::kRunning && !covered) {
    view.set_status("below cover");
  }
  return view;
}

}  // namespace

std::string_view PhaseName(CampaignPhase phase) {
  switch (phase) {
    case CampaignPhase::kRunning:
      return "running";
    case CampaignPhase::kEnded:
      return "ended";
    case CampaignPhase::kClosed:
      return "closed";
    case CampaignPhase::kReleased:
      return "released";
    case CampaignPhase::kRefunded:
      return "refunded";
  }
  CT_ASSERT(false);
  return "";
}

v1::CampaignView MakeView(const ledger::State& state, const Marks& marks, const EngineState& engine,
                          uint64_t campaign, const std::vector<uint64_t>& connected,
                          uint64_t now_ms) {
  const CampaignState& found = *state.FindCampaign(campaign);
  const CampaignMarks& milestones = marks.Campaign(campaign);
  v1::CampaignView view;
  view.set_campaign(campaign);
  view.set_name(found.open.terms().name());
  view.set_phase(std::string(PhaseName(found.phase)));
  view.set_round_phase(std::string(RoundPhaseName(found.round.phase)));
  view.set_round(found.round.number);
  view.set_settled_rounds(found.settled_rounds);
  view.set_rounds(found.open.terms().rounds());
  for (const CampaignMarks::Point& point : milestones.history) {
    v1::CampaignView::Point* p = view.add_history();
    p->set_round(point.round);
    p->set_loss_q32(point.loss_q32);
    p->set_correct(point.correct);
    p->set_validation_count(found.open.validation_count());
  }
  for (const auto& [account, enrolment] : found.enrolments) {
    const bool here = std::binary_search(connected.begin(), connected.end(), account);
    *view.add_teachers() = MakeTeacher(state, milestones, campaign, account, here);
  }
  view.set_escrow(state.Balance({v1::ESCROW, campaign, 0}));
  view.set_phase_left_ms(Left(PhaseEndMs(found, engine), now_ms));
  view.set_log_size(state.size());
  view.set_model_digest(base::Hex(found.model_digest));
  view.set_quorum(found.open.terms().quorum());
  view.set_ready(static_cast<uint32_t>(ledger::CandidatesOf(state, campaign, connected).size()));
  return view;
}

v1::GetAccountReply MakeAccount(const ledger::State& state, uint64_t account) {
  v1::GetAccountReply reply;
  const ledger::Account* found = state.FindAccount(account);
  if (found == nullptr) return reply;
  reply.set_account(account);
  reply.set_name(found->name);
  reply.set_role(found->role);
  reply.set_available(state.Balance({v1::AVAIL, 0, account}));
  for (const auto& [id, campaign] : state.campaigns()) {
    const auto enrolment = campaign.enrolments.find(account);
    if (enrolment == campaign.enrolments.end()) continue;
    v1::GetAccountReply::Stake* stake = reply.add_stakes();
    stake->set_campaign(id);
    stake->set_campaign_name(campaign.open.terms().name());
    stake->set_stake(state.Balance({v1::STAKE, id, account}));
    stake->set_held(state.Balance({v1::HELD, id, account}));
    stake->set_score_q32(enrolment->second.score_q32);
  }
  return reply;
}

std::vector<AddressedNotice> NoticesOf(const ledger::LoggedEntry& logged,
                                       const CampaignState& campaign, const CampaignMarks& marks,
                                       const MakeReceipt& receipt) {
  const uint64_t index = logged.entry.index();
  // Of a phase that has just begun; no downtime has moved its end.
  const uint64_t left_ms = Left(PhaseEndMs(campaign, EngineState{}), logged.entry.time_ms());
  // The same batch may have opened the next round: not what an entry that ends a round speaks of.
  const uint32_t round = campaign.round.number;
  std::vector<AddressedNotice> notices;
  switch (logged.intent.body_case()) {
    case v1::Intent::kRoundOpen:
      for (const uint64_t account : logged.intent.round_open().selected()) {
        notices.push_back({account, Task(campaign, marks, left_ms, receipt)});
      }
      break;
    case v1::Intent::kRoundCommitClose:
      for (const auto& [account, seat] : campaign.round.seats) {
        if (!seat.commitment.has_value()) continue;
        notices.push_back({account, CommitClosed(campaign, marks, seat, left_ms, receipt)});
      }
      break;
    case v1::Intent::kUpdateReject:
      notices.push_back(
          {logged.intent.update_reject().account(),
           One(v1::Notice::REJECTED, logged.intent.update_reject().round(), index, receipt)});
      break;
    case v1::Intent::kSettle: {
      v1::Notice notice =
          One(v1::Notice::ROUND_SETTLED, logged.intent.settle().round(), marks.score, receipt);
      notice.add_receipts(receipt(index));
      notices.push_back({0, std::move(notice)});
      break;
    }
    case v1::Intent::kRoundAbort:
      notices.push_back(
          {0, One(v1::Notice::ROUND_ABORTED, logged.intent.round_abort().round(), index, receipt)});
      break;
    case v1::Intent::kCampaignClose:
      notices.push_back({0, One(v1::Notice::CAMPAIGN_CLOSED, round, index, receipt)});
      break;
    case v1::Intent::kRefund:
      notices.push_back({0, One(v1::Notice::CAMPAIGN_REFUNDED, round, index, receipt)});
      break;
    default:
      return notices;
  }
  const bool ends_round = logged.intent.has_settle() || logged.intent.has_round_abort();
  if (ends_round && campaign.phase != CampaignPhase::kRunning) {
    notices.push_back({0, MakeNotice(v1::Notice::CAMPAIGN_ENDED, round)});
  }
  return notices;
}

std::vector<v1::Notice> CatchUp(const CampaignState& campaign, const CampaignMarks& marks,
                                const EngineState& engine, uint64_t account, uint64_t now_ms,
                                const MakeReceipt& receipt) {
  const ledger::RoundState& round = campaign.round;
  std::vector<v1::Notice> notices = {MakeNotice(v1::Notice::WAITING, round.number)};
  switch (campaign.phase) {
    case CampaignPhase::kRunning:
      break;
    case CampaignPhase::kEnded:
      notices.push_back(MakeNotice(v1::Notice::CAMPAIGN_ENDED, round.number));
      return notices;
    case CampaignPhase::kClosed:
    case CampaignPhase::kReleased:
      notices.push_back(One(v1::Notice::CAMPAIGN_CLOSED, round.number, marks.close, receipt));
      return notices;
    case CampaignPhase::kRefunded:
      notices.push_back(One(v1::Notice::CAMPAIGN_REFUNDED, round.number, marks.refund, receipt));
      return notices;
  }
  const auto found = round.seats.find(account);
  if (round.phase == Phase::kIdle || found == round.seats.end()) return notices;
  const ledger::Seat& seat = found->second;
  if (seat.rejected != v1::REJECT_REASON_UNSPECIFIED) return notices;
  const uint64_t left_ms = Left(PhaseEndMs(campaign, engine), now_ms);
  const bool open = campaign.open.terms().open_commitments();
  const bool may_commit = round.phase == Phase::kCommit && !seat.commitment.has_value();
  const bool may_reveal = round.phase == Phase::kUpload && !seat.update.has_value();
  if (may_commit || (may_reveal && open)) {
    notices.push_back(Task(campaign, marks, left_ms, receipt));
  } else if (may_reveal && seat.commitment.has_value()) {
    notices.push_back(CommitClosed(campaign, marks, seat, left_ms, receipt));
  }
  return notices;
}

uint64_t CampaignOf(const ledger::LoggedEntry& logged) {
  const v1::Intent& intent = logged.intent;
  switch (intent.body_case()) {
    case v1::Intent::kCampaignOpen:
      return logged.entry.index();
    case v1::Intent::kEnrol:
      return intent.enrol().campaign();
    case v1::Intent::kCampaignClose:
      return intent.campaign_close().campaign();
    case v1::Intent::kRelease:
      return intent.release().campaign();
    case v1::Intent::kRefund:
      return intent.refund().campaign();
    case v1::Intent::kRoundOpen:
      return intent.round_open().campaign();
    case v1::Intent::kUpdateCommit:
      return intent.update_commit().campaign();
    case v1::Intent::kRoundCommitClose:
      return intent.round_commit_close().campaign();
    case v1::Intent::kUpdateReveal:
      return intent.update_reveal().campaign();
    case v1::Intent::kUpdateReject:
      return intent.update_reject().campaign();
    case v1::Intent::kAggregate:
      return intent.aggregate().campaign();
    case v1::Intent::kScore:
      return intent.score().campaign();
    case v1::Intent::kSettle:
      return intent.settle().campaign();
    case v1::Intent::kRoundAbort:
      return intent.round_abort().campaign();
    default:
      return 0;
  }
}

}  // namespace crowdteach::server
