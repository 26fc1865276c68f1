#include "client/teaching.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "ledger/entry.h"
#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"
#include "proto/wire/retry.h"

namespace crowdteach::client {
namespace {

// What the stream thread hands to the teaching thread.
class Inbox {
 public:
  void Put(v1::Notice notice) {
    const std::lock_guard lock(mutex_);
    notices_.push_back(std::move(notice));
    changed_.notify_one();
  }
  void End(Status status) {
    const std::lock_guard lock(mutex_);
    end_ = std::move(status);
    ended_ = true;
    changed_.notify_one();
  }
  // False at the end of the stream; then `end()` says why.
  bool Take(v1::Notice* notice) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || !notices_.empty(); });
    if (notices_.empty()) return false;
    *notice = std::move(notices_.front());
    notices_.pop_front();
    return true;
  }
  const Status& end() const { return end_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::Notice> notices_;
  bool ended_ = false;
  Status end_;
};

uint64_t RoundSeed(uint64_t seed, uint64_t campaign, uint32_t round, uint64_t account) {
  std::string text = "crowdteach/v1/train\n";
  for (const uint64_t part : {seed, campaign, uint64_t{round}, account})
    base::AppendU64(text, part);
  return base::ReadU64(base::Sha256Of(text).data());
}

bool IsRefusal(const Status& status) {
  return absl::IsFailedPrecondition(status) && IsFromPeer(status);
}

bool EndsRound(v1::Notice::Kind kind) {
  return kind == v1::Notice::ROUND_ABORTED || kind == v1::Notice::ROUND_SETTLED ||
         kind == v1::Notice::CAMPAIGN_ENDED || kind == v1::Notice::CAMPAIGN_CLOSED;
}

class Teaching {
 public:
  Teaching(Home* home, const TeachingOptions& options, const v1::CampaignOpen& open,
           LocalTrainer* trainer, TeachingObserver* observer, std::stop_token stop)
      : home_(home),
        options_(options),
        open_(open),
        trainer_(trainer),
        observer_(observer),
        stop_(std::move(stop)) {}

  // One connection: until the stream ends. OK means the campaign is over for us.
  Status Attend();
  // Whether to come back after `ended`, what Attend returned.
  bool MayComeBack(const Status& ended) const;

 private:
  Status Take(const v1::Notice& notice);
  Status OnTask(const v1::Notice& notice);
  Status OnCommitClosed(const v1::Notice& notice);
  Status OnSettled(const v1::Notice& notice);
  StatusOr<PreparedRound> Prepare(const v1::RoundOpen& round);
  Status Deliver(const PreparedRound& prepared);
  // The same, but a refusal is told and survived: the round went on without us.
  Status DeliverOrTell(const PreparedRound& prepared);
  StatusOr<VerifiedEntry> ReceiptOf(const v1::Notice& notice, int i, v1::Intent::BodyCase body);
  Status Forget(uint32_t round);

  Home* const home_;
  const TeachingOptions& options_;
  const v1::CampaignOpen& open_;
  LocalTrainer* const trainer_;
  TeachingObserver* const observer_;
  const std::stop_token stop_;
  std::unique_ptr<Session> session_;
  bool over_ = false;
  bool connected_ = false;  // the last Attend opened a session

  // The stop token of the training under way; the stream thread ends it when its round ends.
  std::mutex training_mutex_;
  std::stop_source training_;
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

StatusOr<PreparedRound> Teaching::Prepare(const v1::RoundOpen& round) {
  CT_ASSIGN_OR_RETURN(const base::Hash base_digest, base::HashFromBytes(round.base_digest()));
  CT_RETURN_IF_ERROR(session_->Download(base::BlobKind::kWeights, base_digest,
                                        trainer_->format().SizeBytes(), {}));
  std::stop_token stop_training;
  {
    const std::lock_guard lock(training_mutex_);
    training_ = std::stop_source();
    stop_training = training_.get_token();
  }
  const std::stop_callback forward(stop_, [this] {
    const std::lock_guard lock(training_mutex_);
    training_.request_stop();
  });
  const std::string update_path = home_->blobs().TemporaryPath();
  CT_ASSIGN_OR_RETURN(
      const UpdateInfo info,
      trainer_->Train(
          home_->blobs().Path(base_digest),
          RoundSeed(options_.seed, options_.campaign, round.round(), session_->account()),
          update_path,
          [&](uint64_t batch, uint64_t batches, double loss_nats) {
            observer_->Training(round.round(), batch, batches, loss_nats);
          },
          stop_training));
  observer_->Trained(round.round(), info);
  CT_ASSIGN_OR_RETURN(const ledger::BlobName blob,
                      home_->blobs().Adopt(base::BlobKind::kUpdate, update_path));
  PreparedRound prepared{options_.campaign, round.round(), blob.digest, base::RandomBytes(32)};
  CT_RETURN_IF_ERROR(home_->SaveRound(prepared));
  CT_RETURN_IF_ERROR(home_->blobs().Remove(base_digest));  // the next round has another
  return prepared;
}

Status Teaching::OnTask(const v1::Notice& notice) {
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, ReceiptOf(notice, 0, v1::Intent::kRoundOpen));
  const v1::RoundOpen& round = entry.logged.intent.round_open();
  if (round.campaign() != options_.campaign) return DataLoss("a task of another campaign");
  CT_ASSIGN_OR_RETURN(std::optional<PreparedRound> prepared,
                      home_->LoadRound(options_.campaign, round.round()));
  if (!prepared.has_value()) {
    StatusOr<PreparedRound> made = Prepare(round);
    // The round ended while we trained: not our trouble.
    if (absl::IsCancelled(made.status()) && !stop_.stop_requested()) return OkStatus();
    CT_RETURN_IF_ERROR(made.status());
    prepared = *std::move(made);
  }
  if (open_.terms().open_commitments()) return DeliverOrTell(*prepared);
  v1::Intent body;
  v1::UpdateCommit* commit = body.mutable_update_commit();
  commit->set_campaign(options_.campaign);
  commit->set_round(round.round());
  commit->set_commitment(base::Bytes(
      ledger::SealedCommitment(session_->genesis_hash(), options_.campaign, round.round(),
                               session_->account(), prepared->update, prepared->salt)));
  const StatusOr<VerifiedEntry> logged = session_->Submit(std::move(body));
  if (IsRefusal(logged.status())) {  // too late, mostly: the round goes on without us
    observer_->Trouble(logged.status(), 0);
    return OkStatus();
  }
  CT_RETURN_IF_ERROR(logged.status());
  observer_->Committed(round.round(), logged->logged.entry.index());
  return OkStatus();
}

Status Teaching::Deliver(const PreparedRound& prepared) {
  CT_RETURN_IF_ERROR(session_->Upload(
      base::BlobKind::kUpdate, prepared.update, options_.campaign, prepared.round,
      [&](uint64_t done, uint64_t total) { observer_->Uploading(prepared.round, done, total); }));
  v1::Intent body;
  v1::UpdateReveal* reveal = body.mutable_update_reveal();
  reveal->set_campaign(options_.campaign);
  reveal->set_round(prepared.round);
  reveal->set_update_digest(base::Bytes(prepared.update));
  reveal->set_salt(prepared.salt);
  CT_ASSIGN_OR_RETURN(const VerifiedEntry logged, session_->Submit(std::move(body)));
  observer_->Revealed(prepared.round, logged.logged.entry.index());
  return OkStatus();
}

Status Teaching::DeliverOrTell(const PreparedRound& prepared) {
  const Status delivered = Deliver(prepared);
  if (IsRefusal(delivered)) {
    observer_->Trouble(delivered, 0);
    return OkStatus();
  }
  return delivered;
}

Status Teaching::OnCommitClosed(const v1::Notice& notice) {
  CT_ASSIGN_OR_RETURN(const VerifiedEntry ours, ReceiptOf(notice, 0, v1::Intent::kUpdateCommit));
  CT_ASSIGN_OR_RETURN(const VerifiedEntry close,
                      ReceiptOf(notice, 1, v1::Intent::kRoundCommitClose));
  const v1::UpdateCommit& commit = ours.logged.intent.update_commit();
  const v1::RoundCommitClose& closed = close.logged.intent.round_commit_close();
  if (commit.campaign() != options_.campaign || closed.campaign() != options_.campaign ||
      commit.round() != closed.round() || ours.logged.intent.account() != session_->account()) {
    return DataLoss("the coordinator's proof of the closed commit phase is of another round");
  }
  CT_ASSIGN_OR_RETURN(const std::optional<PreparedRound> prepared,
                      home_->LoadRound(options_.campaign, commit.round()));
  if (!prepared.has_value()) {
    return FailedPrecondition("{} no longer has the update committed to in round {}", home_->path(),
                              commit.round());
  }
  const base::Hash expected =
      ledger::SealedCommitment(session_->genesis_hash(), options_.campaign, commit.round(),
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
  const v1::Score& score = entry.logged.intent.score();
  const v1::ScoreLine* ours = nullptr;
  for (const v1::ScoreLine& line : score.lines()) {
    if (line.account() == session_->account()) ours = &line;
  }
  for (const VerifiedEntry* keep : {&entry, &settle}) {
    CT_RETURN_IF_ERROR(home_->SaveReceipt(keep->logged.entry.index(), keep->receipt));
  }
  observer_->Settled(score.round(), score, ours);
  return Forget(score.round());
}

Status Teaching::Forget(uint32_t round) { return home_->ForgetRound(options_.campaign, round); }

Status Teaching::Take(const v1::Notice& notice) {
  switch (notice.kind()) {
    case v1::Notice::WAITING:
      observer_->Waiting(notice.round() + 1);
      return OkStatus();
    case v1::Notice::TASK:
      return OnTask(notice);
    case v1::Notice::COMMIT_CLOSED:
      return OnCommitClosed(notice);
    case v1::Notice::ROUND_SETTLED:
      return OnSettled(notice);
    case v1::Notice::ROUND_ABORTED: {
      CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, ReceiptOf(notice, 0, v1::Intent::kRoundAbort));
      observer_->Aborted(notice.round(), entry.logged.intent.round_abort().reason());
      return Forget(notice.round());
    }
    case v1::Notice::REJECTED: {
      CT_ASSIGN_OR_RETURN(const VerifiedEntry entry,
                          ReceiptOf(notice, 0, v1::Intent::kUpdateReject));
      CT_RETURN_IF_ERROR(home_->SaveReceipt(entry.logged.entry.index(), entry.receipt));
      observer_->Rejected(notice.round(), entry.logged.intent.update_reject().reason());
      return OkStatus();
    }
    case v1::Notice::CAMPAIGN_ENDED:
      observer_->Phase("all rounds are done");
      over_ = !options_.until_refund;
      return OkStatus();
    case v1::Notice::CAMPAIGN_CLOSED: {
      CT_ASSIGN_OR_RETURN(const VerifiedEntry entry,
                          ReceiptOf(notice, 0, v1::Intent::kCampaignClose));
      CT_RETURN_IF_ERROR(home_->SaveReceipt(entry.logged.entry.index(), entry.receipt));
      observer_->Phase("the campaign is closed; rewards are free after the dispute window");
      return OkStatus();
    }
    case v1::Notice::CAMPAIGN_REFUNDED: {
      CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, ReceiptOf(notice, 0, v1::Intent::kRefund));
      CT_RETURN_IF_ERROR(home_->SaveReceipt(entry.logged.entry.index(), entry.receipt));
      observer_->Phase("the campaign is settled; rewards and stake are yours");
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
  connected_ = false;
  CT_ASSIGN_OR_RETURN(session_, Session::Connect(home_, options_.session));
  connected_ = true;
  Inbox inbox;
  std::thread stream([&] {
    inbox.End(session_->Attend(options_.campaign, [&](const v1::Notice& notice) {
      if (EndsRound(notice.kind())) {
        const std::lock_guard lock(training_mutex_);
        training_.request_stop();
      }
      inbox.Put(notice);
      return true;
    }));
  });
  Status result = OkStatus();
  {
    const std::stop_callback cancel(stop_, [this] { session_->Cancel(); });
    v1::Notice notice;
    while (result.ok() && !over_ && inbox.Take(&notice)) result = Take(notice);
    session_->Cancel();
    stream.join();
  }
  if (!result.ok() || over_) return result;
  if (stop_.stop_requested()) return absl::CancelledError("stopped");
  return inbox.end().ok() ? FromPeer(Unavailable("the coordinator ended the stream")) : inbox.end();
}

}  // namespace

Status Teach(Home* home, const TeachingOptions& options, const v1::CampaignOpen& open,
             LocalTrainer* trainer, TeachingObserver* observer, const std::stop_token& stop) {
  Teaching teaching(home, options, open, trainer, observer, stop);
  wire::Backoff backoff({});
  for (;;) {
    const auto begun = std::chrono::steady_clock::now();
    const Status ended = teaching.Attend();
    if (ended.ok() || stop.stop_requested()) {
      return stop.stop_requested() ? absl::CancelledError("stopped") : ended;
    }
    if (!teaching.MayComeBack(ended)) return ended;
    if (std::chrono::steady_clock::now() - begun > std::chrono::minutes(1)) backoff.Reset();
    const uint64_t wait_ms = backoff.NextMs();
    observer->Trouble(ended, wait_ms);
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait_for(lock, stop, std::chrono::milliseconds(wait_ms), [] { return false; });
  }
}

}  // namespace crowdteach::client
