#include "server/marks.h"

#include <set>

#include "learning/model/model_spec.h"
#include "proto/base/assert.h"

namespace crowdteach::server {

void Marks::Take(const ledger::LoggedEntry& logged) {
  const v1::Intent& intent = logged.intent;
  const uint64_t index = logged.entry.index();
  if (intent.sequence() > 0) {
    std::vector<uint64_t>& indices = sequences_[intent.account()];
    CT_ASSERT(indices.size() + 1 == intent.sequence());
    indices.push_back(index);
  }
  TakeConcerned(logged);
  TakeBlobs(intent, index);
  switch (intent.body_case()) {
    case v1::Intent::kCampaignOpen:
      campaigns_[index].history.push_back(
          {0, intent.campaign_open().loss_q32(), intent.campaign_open().correct()});
      break;
    case v1::Intent::kCampaignClose:
      campaigns_[intent.campaign_close().campaign()].close = index;
      break;
    case v1::Intent::kRefund:
      campaigns_[intent.refund().campaign()].refund = index;
      break;
    default:
      TakeRound(intent, index);
  }
}

void Marks::TakeConcerned(const ledger::LoggedEntry& logged) {
  const v1::Intent& intent = logged.intent;
  const uint64_t index = logged.entry.index();
  std::set<uint64_t> accounts = {intent.has_account_open() ? index : intent.account()};
  for (const v1::Posting& posting : logged.entry.postings()) accounts.insert(posting.account());
  for (const v1::ScoreLine& line : intent.score().lines()) accounts.insert(line.account());
  if (intent.has_update_reject()) accounts.insert(intent.update_reject().account());
  if (intent.has_settle()) {
    for (const auto& [account, phi] : Campaign(intent.settle().campaign()).scored) {
      accounts.insert(account);
    }
  }
  accounts.erase(0);  // the operator's are its own log
  for (const uint64_t account : accounts) entries_[account].push_back(index);
}

void Marks::TakeRound(const v1::Intent& intent, uint64_t index) {
  switch (intent.body_case()) {
    case v1::Intent::kRoundOpen: {
      CampaignMarks& marks = campaigns_[intent.round_open().campaign()];
      marks.round_open = index;
      marks.commit_close = 0;
      marks.rejects.clear();
      break;
    }
    case v1::Intent::kRoundCommitClose:
      campaigns_[intent.round_commit_close().campaign()].commit_close = index;
      break;
    case v1::Intent::kUpdateReject:
      campaigns_[intent.update_reject().campaign()].rejects[intent.update_reject().account()] =
          index;
      break;
    case v1::Intent::kScore: {
      const v1::Score& score = intent.score();
      CampaignMarks& marks = campaigns_[score.campaign()];
      marks.score = index;
      marks.scored_loss_q32 = score.loss_after_q32();
      marks.scored_correct = score.correct_after();
      marks.scored.clear();
      for (const v1::ScoreLine& line : score.lines()) marks.scored[line.account()] = line.phi_q32();
      break;
    }
    case v1::Intent::kSettle: {
      const v1::Settle& settle = intent.settle();
      CampaignMarks& marks = campaigns_[settle.campaign()];
      marks.settle = index;
      if (settle.part() + 1 != settle.parts()) break;
      marks.history.push_back({settle.round(), marks.scored_loss_q32, marks.scored_correct});
      marks.last_scores = std::move(marks.scored);
      marks.scored.clear();
      break;
    }
    case v1::Intent::kRoundAbort:
      campaigns_[intent.round_abort().campaign()].abort = index;
      break;
    default:
      break;
  }
}

std::vector<std::string> ForeignBlobsOf(const v1::Intent& intent) {
  if (intent.has_campaign_open()) {
    const v1::CampaignOpen& open = intent.campaign_open();
    std::vector<std::string> digests = {open.model_digest(), open.validation_digest()};
    const auto code = learning::ModelCodeOf(open.terms().model_toml());
    if (code) digests.push_back(base::Bytes(code->digest));
    return digests;
  }
  if (intent.has_update_reveal()) return {intent.update_reveal().update_digest()};
  return {};
}

void Marks::TakeBlob(std::string_view digest, uint64_t campaign, base::BlobKind kind) {
  if (digest.empty()) return;  // a void step has no gradient
  const StatusOr<base::Hash> hash = base::HashFromBytes(digest);
  CT_ASSERT(hash.ok());
  std::vector<BlobUse>& uses = blobs_[*hash];
  for (const BlobUse& use : uses) {
    if (use.campaign == campaign && use.kind == kind) return;
  }
  uses.push_back({campaign, kind});
}

void Marks::TakeBlobs(const v1::Intent& intent, uint64_t index) {
  switch (intent.body_case()) {
    case v1::Intent::kCampaignOpen:
      TakeBlob(intent.campaign_open().model_digest(), index, base::BlobKind::kWeights);
      TakeBlob(intent.campaign_open().validation_digest(), index, base::BlobKind::kValidation);
      if (const auto code = learning::ModelCodeOf(intent.campaign_open().terms().model_toml())) {
        TakeBlob(base::View(code->digest), index, base::BlobKind::kCode);
      }
      break;
    case v1::Intent::kUpdateReveal:
      TakeBlob(intent.update_reveal().update_digest(), intent.update_reveal().campaign(),
               base::BlobKind::kUpdate);
      break;
    case v1::Intent::kAggregate:
      TakeBlob(intent.aggregate().model_digest(), intent.aggregate().campaign(),
               base::BlobKind::kWeights);
      break;
    case v1::Intent::kScore:
      TakeBlob(intent.score().gradient_digest(), intent.score().campaign(),
               base::BlobKind::kGradient);
      break;
    default:
      break;
  }
}

std::vector<base::Hash> Marks::Blobs() const {
  std::vector<base::Hash> digests;
  for (const auto& [digest, unused] : blobs_) digests.push_back(digest);
  return digests;
}

std::vector<BlobUse> Marks::UsesOf(const base::Hash& digest) const {
  const auto found = blobs_.find(digest);
  return found == blobs_.end() ? std::vector<BlobUse>{} : found->second;
}

std::optional<uint64_t> Marks::IndexOf(uint64_t account, uint64_t sequence) const {
  const auto found = sequences_.find(account);
  if (found == sequences_.end() || sequence == 0 || sequence > found->second.size()) {
    return std::nullopt;
  }
  return found->second[sequence - 1];
}

const std::vector<uint64_t>& Marks::EntriesOf(uint64_t account) const {
  static const std::vector<uint64_t> kNone;
  const auto found = entries_.find(account);
  return found == entries_.end() ? kNone : found->second;
}

const CampaignMarks& Marks::Campaign(uint64_t campaign) const {
  static const CampaignMarks kNone;
  const auto found = campaigns_.find(campaign);
  return found == campaigns_.end() ? kNone : found->second;
}

}  // namespace crowdteach::server
