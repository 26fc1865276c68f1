#include "client/teaching.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "client/enrolment.h"
#include "client/inbox.h"
#include "client/leaving.h"
#include "client/records.h"
#include "client/round_training.h"
#include "learning/fixed_point.h"
#include "learning/model/safetensors.h"
#include "ledger/entry.h"
#include "ledger/reward.h"
#include "ledger/words.h"
#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"
#include "proto/wire/retry.h"

namespace crowdteach::client {
namespace {

using Clock = std::chrono::steady_clock;

uint64_t RoundSeed(uint64_t seed, uint64_t campaign, uint32_t round, uint64_t account) {
  std::string text = "crowdteach/v1/train\n";
  for (const uint64_t part : {seed, campaign, uint64_t{round}, account})
    base::AppendU64(text, part);
  return base::ReadU64(base::Sha256Of(text).data());
}

double NatsOf(uint64_t value_q32) { return learning::FromQ32(static_cast<int64_t>(value_q32)); }

bool IsRefusal(const Status& status) {
  return absl::IsFailedPrecondition(status) && IsFromPeer(status);
}

bool EndsRound(v1::Notice::Kind kind) {
  return kind == v1::Notice::ROUND_ABORTED || kind == v1::Notice::ROUND_SETTLED ||
         kind == v1::Notice::CAMPAIGN_ENDED || kind == v1::Notice::CAMPAIGN_CLOSED;
}

class Teaching {
 public:
  Teaching(Joined* joined, const TeacherOptions& options, Trainer& trainer, Observer& observer,
           std::stop_token stop)
      : home_(joined->home.get()),
        session_options_(joined->session_options),
        options_(options),
        seed_(options.seed.has_value() ? *options.seed
                                       : base::ReadU64(base::RandomBytes(8).data())),
        trainer_(trainer),
        observer_(observer),
        stop_(stop),
        leaving_(std::move(stop)),
        enrolment_(options, home_, trainer, observer),
        session_(std::move(joined->session)) {}

  // One connection: until the stream ends. OK means the campaign is over for us.
  Status Attend();
  // Whether to come back after `ended`, what Attend returned.
  bool MayComeBack(const Status& ended) const;
  uint64_t campaign() const { return campaign_; }
  const Leaving& leaving() const { return leaving_; }

 private:
  Status Rounds();
  // Takes what comes until the campaign is over, the stream ends or there is leave to go.
  Status TakeAll(Inbox* inbox);
  void OnStop(Inbox* inbox);  // on whichever thread requests it
  Status Take(const Arrived& arrived);
  Status OnTask(const Arrived& arrived);
  Status OnCommitClosed(const v1::Notice& notice);
  Status OnSettled(const v1::Notice& notice);
  StatusOr<PreparedRound> Prepare(const v1::RoundOpen& round, const Arrived& task);
  Status Deliver(const PreparedRound& prepared);
  // The same, but a refusal is told and survived: the round went on without us.
  Status DeliverOrTell(const PreparedRound& prepared);
  StatusOr<VerifiedEntry> ReceiptOf(const v1::Notice& notice, int i, v1::Intent::BodyCase body);
  Status Forget(uint32_t round);
  Status ForgetWhatIsOver();  // by the receipts in the home

  Home* const home_;
  const SessionOptions session_options_;
  const TeacherOptions& options_;
  const uint64_t seed_;
  Trainer& trainer_;
  Observer& observer_;
  const std::stop_token stop_;
  Leaving leaving_;
  Enrolment enrolment_;
  const Joining* joining_ = nullptr;  // once enrolled
  uint64_t campaign_ = 0;
  std::unique_ptr<Session> session_;
  bool over_ = false;
  bool connected_ = false;  // the last Attend opened a session
};

StatusOr<VerifiedEntry> Teaching::ReceiptOf(const v1::Notice& notice, int i,
                                            v1::Intent::BodyCase body) {
  if (i >= notice.receipts_size()) {
    return DataLoss("the coordinator's notice lacks its evidence (receipt {})", i);
  }
  CT_ASSIGN_OR_RETURN(VerifiedEntry entry, session_->Verify(notice.receipts(i)));
  if (entry.logged.intent.body_case() != body) {
    return DataLoss("the coordinator's notice has a {} where it should have something else",
                    ledger::BodyName(entry.logged.intent));
  }
  return entry;
}

StatusOr<PreparedRound> Teaching::Prepare(const v1::RoundOpen& round, const Arrived& task) {
  CT_ASSIGN_OR_RETURN(const base::Hash base_digest, base::HashFromBytes(round.base_digest()));
  CT_RETURN_IF_ERROR(session_->Download(base::BlobKind::kWeights, base_digest,
                                        learning::CanonicalSizeBytes(joining_->layout), {}));
  const uint64_t left_ms = std::min(task.notice.time_left_ms(), joining_->terms.commit_ms());
  const RoundWork work{
      .round = round.round(),
      .seed = RoundSeed(seed_, campaign_, round.round(), session_->account()),
      .base_path = home_->blobs().Path(base_digest),
      .deadline = task.time + std::chrono::milliseconds(left_ms),
      .scratch = home_->path() + "/scratch",
      .update_path = home_->blobs().TemporaryPath(),
  };
  std::stop_source end = task.end;
  const std::stop_callback forward(stop_, [&end] { end.request_stop(); });
  CT_ASSIGN_OR_RETURN(const UpdateSummary summary,
                      TrainRound(*joining_, work, trainer_, observer_, end.get_token()));
  observer_.Trained(round.round(), summary);
  CT_ASSIGN_OR_RETURN(const ledger::BlobName blob,
                      home_->blobs().Adopt(base::BlobKind::kUpdate, work.update_path));
  PreparedRound prepared{campaign_, round.round(), blob.digest, base::RandomBytes(32)};
  if (const Status saved = home_->SaveRound(prepared); !saved.ok()) {
    // Nobody would ever ask for it again, and the disk may be full of such.
    const Status removed = home_->blobs().Remove(blob.digest);
    return removed.ok() ? saved : Annotate(saved, Message(removed));
  }
  CT_RETURN_IF_ERROR(home_->blobs().Remove(base_digest));  // the next round has another
  return prepared;
}

Status Teaching::OnTask(const Arrived& arrived) {
  const v1::Notice& notice = arrived.notice;
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, ReceiptOf(notice, 0, v1::Intent::kRoundOpen));
  const v1::RoundOpen& round = entry.logged.intent.round_open();
  if (round.campaign() != campaign_) return DataLoss("a task of another campaign");
  CT_ASSIGN_OR_RETURN(std::optional<PreparedRound> prepared,
                      home_->LoadRound(campaign_, round.round()));
  if (!prepared.has_value()) {
    StatusOr<PreparedRound> made = Prepare(round, arrived);
    // The round ended while we trained: not our trouble.
    if (absl::IsCancelled(made.status()) && !stop_.stop_requested()) return OkStatus();
    if (absl::IsAborted(made.status()) && !IsFromPeer(made.status())) {
      observer_.Failed(round.round(), made.status());
      return OkStatus();
    }
    CT_RETURN_IF_ERROR(made.status());
    prepared = *std::move(made);
  }
  CT_RETURN_IF_ERROR(leaving_.Promise(round.round()));
  if (joining_->terms.open_commitments()) return DeliverOrTell(*prepared);
  v1::Intent body;
  v1::UpdateCommit* commit = body.mutable_update_commit();
  commit->set_campaign(campaign_);
  commit->set_round(round.round());
  commit->set_commitment(
      base::Bytes(ledger::SealedCommitment(session_->genesis_hash(), campaign_, round.round(),
                                           session_->account(), prepared->update, prepared->salt)));
  const StatusOr<VerifiedEntry> logged = session_->Submit(std::move(body));
  if (IsRefusal(logged.status())) {  // too late, mostly: the round goes on without us
    observer_.Trouble(logged.status(), 0);
    leaving_.Kept(round.round());
    return OkStatus();
  }
  CT_RETURN_IF_ERROR(logged.status());
  observer_.Committed(round.round(), logged->logged.entry.index());
  return OkStatus();
}

Status Teaching::Deliver(const PreparedRound& prepared) {
  CT_RETURN_IF_ERROR(session_->Upload(
      base::BlobKind::kUpdate, prepared.update, campaign_, prepared.round,
      [&](uint64_t done, uint64_t total) { observer_.Uploading(prepared.round, done, total); }));
  v1::Intent body;
  v1::UpdateReveal* reveal = body.mutable_update_reveal();
  reveal->set_campaign(campaign_);
  reveal->set_round(prepared.round);
  reveal->set_update_digest(base::Bytes(prepared.update));
  reveal->set_salt(prepared.salt);
  CT_ASSIGN_OR_RETURN(const VerifiedEntry logged, session_->Submit(std::move(body)));
  observer_.Revealed(prepared.round, logged.logged.entry.index());
  return OkStatus();
}

Status Teaching::DeliverOrTell(const PreparedRound& prepared) {
  leaving_.Delivering(prepared.round);
  Status delivered = Deliver(prepared);
  if (IsRefusal(delivered)) {
    observer_.Trouble(delivered, 0);
    delivered = OkStatus();
  }
  if (delivered.ok()) leaving_.Kept(prepared.round);
  return delivered;
}

void Teaching::OnStop(Inbox* inbox) {
  bool first = false;
  const Leaving::Owed owed = leaving_.OnStop(&first);
  if (owed.round == 0) {
    session_->Cancel();
  } else if (first) {
    observer_.Leaving(owed.round, owed.delivering, Leaving::kWait);
  }
  inbox->Wake();
}

Status Teaching::OnCommitClosed(const v1::Notice& notice) {
  CT_ASSIGN_OR_RETURN(const VerifiedEntry ours, ReceiptOf(notice, 0, v1::Intent::kUpdateCommit));
  CT_ASSIGN_OR_RETURN(const VerifiedEntry close,
                      ReceiptOf(notice, 1, v1::Intent::kRoundCommitClose));
  const v1::UpdateCommit& commit = ours.logged.intent.update_commit();
  const v1::RoundCommitClose& closed = close.logged.intent.round_commit_close();
  if (commit.campaign() != campaign_ || closed.campaign() != campaign_ ||
      commit.round() != closed.round() || ours.logged.intent.account() != session_->account()) {
    return DataLoss("the coordinator's proof of the closed commit phase is of another round");
  }
  CT_ASSIGN_OR_RETURN(const std::optional<PreparedRound> prepared,
                      home_->LoadRound(campaign_, commit.round()));
  if (!prepared.has_value()) {
    return FailedPrecondition("{} no longer has the update committed to in round {}", home_->path(),
                              commit.round());
  }
  const base::Hash expected =
      ledger::SealedCommitment(session_->genesis_hash(), campaign_, commit.round(),
                               session_->account(), prepared->update, prepared->salt);
  if (commit.commitment() != base::View(expected)) {
    return DataLoss(
        "the commitment on the ledger for round {} is not the one made here: is a copy of {} at "
        "work "
        "elsewhere? One key is one person: stop one of the two, and use another invite for it",
        commit.round(), home_->path());
  }
  return DeliverOrTell(*prepared);
}

Status Teaching::OnSettled(const v1::Notice& notice) {
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, ReceiptOf(notice, 0, v1::Intent::kScore));
  CT_ASSIGN_OR_RETURN(const VerifiedEntry settle, ReceiptOf(notice, 1, v1::Intent::kSettle));
  for (const VerifiedEntry* keep : {&entry, &settle}) {
    CT_RETURN_IF_ERROR(home_->SaveReceipt(keep->logged.entry.index(), keep->receipt));
  }
  const v1::Score& score = entry.logged.intent.score();
  Settlement settlement{.round = score.round(),
                        .loss_nats = NatsOf(score.loss_after_q32()),
                        .correct = score.correct_after()};
  for (const v1::ScoreLine& line : score.lines()) {
    if (line.account() != session_->account()) continue;
    const uint64_t price = joining_->terms.credits_per_nat();
    settlement.ours = {.score_nats = learning::FromQ32(line.phi_q32()),
                       .standard_error_nats = NatsOf(line.stderr_q32()),
                       .credits = static_cast<int64_t>(ledger::Reward(price, line.phi_q32()))};
  }
  observer_.Settled(settlement);
  return Forget(score.round());
}

Status Teaching::Forget(uint32_t round) {
  leaving_.Kept(round);
  return home_->ForgetRound(campaign_, round);
}

Status Teaching::ForgetWhatIsOver() {
  CT_ASSIGN_OR_RETURN(const Records records, ReadRecords(home_->path(), std::nullopt));
  for (const PendingRound& round : records.over) {
    if (round.campaign == enrolment_.joining().campaign.number) leaving_.Kept(round.round);
    CT_RETURN_IF_ERROR(home_->ForgetRound(round.campaign, round.round));
  }
  return OkStatus();
}

Status Teaching::Take(const Arrived& arrived) {
  const v1::Notice& notice = arrived.notice;
  switch (notice.kind()) {
    case v1::Notice::WAITING:
      observer_.Waiting(notice.round() + 1);
      return OkStatus();
    case v1::Notice::TASK:
      return OnTask(arrived);
    case v1::Notice::COMMIT_CLOSED:
      return OnCommitClosed(notice);
    case v1::Notice::ROUND_SETTLED:
      return OnSettled(notice);
    case v1::Notice::ROUND_ABORTED: {
      CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, ReceiptOf(notice, 0, v1::Intent::kRoundAbort));
      observer_.Aborted(notice.round(),
                        std::string(ledger::InWords(entry.logged.intent.round_abort().reason())));
      return Forget(notice.round());
    }
    case v1::Notice::REJECTED: {
      CT_ASSIGN_OR_RETURN(const VerifiedEntry entry,
                          ReceiptOf(notice, 0, v1::Intent::kUpdateReject));
      CT_RETURN_IF_ERROR(home_->SaveReceipt(entry.logged.entry.index(), entry.receipt));
      leaving_.Kept(notice.round());
      observer_.Rejected(notice.round(),
                         ledger::WhyRejected(entry.logged.intent.update_reject().reason()));
      return OkStatus();
    }
    case v1::Notice::CAMPAIGN_ENDED:
      observer_.Phase("all rounds are done");
      over_ = !options_.until_refund;
      return OkStatus();
    case v1::Notice::CAMPAIGN_CLOSED: {
      CT_ASSIGN_OR_RETURN(const VerifiedEntry entry,
                          ReceiptOf(notice, 0, v1::Intent::kCampaignClose));
      CT_RETURN_IF_ERROR(home_->SaveReceipt(entry.logged.entry.index(), entry.receipt));
      observer_.Phase("the campaign is closed; rewards are free after the dispute window");
      return OkStatus();
    }
    case v1::Notice::CAMPAIGN_REFUNDED: {
      CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, ReceiptOf(notice, 0, v1::Intent::kRefund));
      CT_RETURN_IF_ERROR(home_->SaveReceipt(entry.logged.entry.index(), entry.receipt));
      observer_.Phase("the campaign is settled; rewards and stake are yours");
      over_ = true;
      return OkStatus();
    }
    default:
      return OkStatus();  // a newer coordinator has more to say; nothing to act on
  }
}

bool Teaching::MayComeBack(const Status& ended) const {
  if (!IsFromPeer(ended)) return false;
  // A session ends with the coordinator's process, and by time.
  return wire::IsTransient(ended) || (connected_ && absl::IsUnauthenticated(ended));
}

Status Teaching::Attend() {
  connected_ = session_ != nullptr;
  if (!connected_) {
    CT_ASSIGN_OR_RETURN(session_, Session::Connect(home_, session_options_));
    connected_ = true;
  }
  Status ended = enrolment_.Complete(session_.get(), stop_);
  if (ended.ok()) {
    // What was settled while we were away. An older coordinator cannot list it.
    ended = session_->FetchReceipts();
    if (IsRefusal(ended)) ended = OkStatus();
    if (ended.ok()) ended = ForgetWhatIsOver();
  }
  if (ended.ok()) {
    joining_ = &enrolment_.joining();
    campaign_ = joining_->campaign.number;
    ended = Rounds();
  }
  session_.reset();
  return ended;
}

Status Teaching::Rounds() {
  Inbox inbox;
  std::thread stream([&] {
    std::stop_source task_end;  // of the last task: its training stops at once when its round ends
    inbox.End(session_->Attend(campaign_, [&](const v1::Notice& notice) {
      if (EndsRound(notice.kind())) task_end.request_stop();
      if (notice.kind() == v1::Notice::TASK) task_end = std::stop_source();
      inbox.Put({notice, Clock::now(), task_end});
      return true;
    }));
  });
  Status result = OkStatus();
  {
    // Also when an observer throws.
    const absl::Cleanup end = [&] {
      session_->Cancel();
      stream.join();
    };
    const std::stop_callback on_stop(stop_, [&] { OnStop(&inbox); });
    result = TakeAll(&inbox);
  }
  if (!result.ok() || over_) return result;
  if (leaving_.MayGo()) return leaving_.Left();
  return inbox.end().ok() ? FromPeer(Unavailable("the coordinator ended the stream")) : inbox.end();
}

Status Teaching::TakeAll(Inbox* inbox) {
  Arrived next;
  while (!over_ && !leaving_.MayGo()) {
    const Inbox::Got got = inbox->Take(&next, leaving_.until());
    if (got == Inbox::Got::kEnd) break;
    if (got == Inbox::Got::kNotice) CT_RETURN_IF_ERROR(Take(next));
  }
  return OkStatus();
}

}  // namespace

Status Teach(Joined* joined, const TeacherOptions& options, Trainer& trainer, Observer& observer,
             const std::stop_token& stop, uint64_t* campaign) {
  Teaching teaching(joined, options, trainer, observer, stop);
  wire::Backoff backoff({});
  while (!teaching.leaving().MayGo()) {
    const auto begun = Clock::now();
    const Status ended = teaching.Attend();
    *campaign = teaching.campaign();
    if (ended.ok()) return ended;
    if (teaching.leaving().MayGo()) break;
    if (!teaching.MayComeBack(ended)) {
      const bool stopped_us = absl::IsCancelled(ended) && stop.stop_requested();
      return stopped_us ? teaching.leaving().Left() : ended;
    }
    if (Clock::now() - begun > std::chrono::minutes(1)) backoff.Reset();
    const uint64_t wait_ms = backoff.NextMs();
    observer.Trouble(ended, wait_ms);
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    if (stop.stop_requested()) {  // something is still to be delivered
      std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
    } else {
      stopped.wait_for(lock, stop, std::chrono::milliseconds(wait_ms), [] { return false; });
    }
  }
  return teaching.leaving().Left();
}

}  // namespace crowdteach::client
