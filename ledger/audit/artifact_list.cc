#include "ledger/audit/artifact_list.h"

#include <set>
#include <utility>

#include "learning/model/model_spec.h"
#include "learning/score/gradient.h"

namespace crowdteach::audit {
namespace {

using base::BlobKind;
using ledger::CampaignState;

constexpr uint64_t kRecordHeadBytes = 20;  // of a validation record: salt(16) ‖ u32 label

// Of one validation set, from the terms of its features.
uint64_t ValidationBytes(const v1::CampaignOpen& open) {
  const v1::DataTerms& data = open.terms().data();
  uint64_t features = data.feature_type() == v1::U8 ? 1 : 4;
  for (const uint32_t length : data.input_shape()) features *= length;
  return open.validation_count() * (kRecordHeadBytes + features);
}

class Collector {
 public:
  explicit Collector(std::vector<NamedArtifact>* found) : found_(found) {}

  void Add(uint64_t id, const CampaignHistory& history, const CampaignState& campaign) {
    const v1::CampaignOpen& open = campaign.open;
    const v1::Terms& terms = open.terms();
    weights_ = {BlobKind::kWeights, {}, id, open.model_size_bytes(), false, "", 0, v1::ENROLLED};
    update_ = {BlobKind::kUpdate,     {}, id, open.parameters() * 4, false, "", 0,
               terms.update_readers()};
    if (campaign.phase == ledger::CampaignPhase::kRefunded) {
      update_.kept_to_ms = campaign.closed_ms + terms.retention_ms();
    }
    gradient_ = {BlobKind::kGradient,
                 {},
                 id,
                 learning::kGradientSaltBytes + open.parameters() * 4,
                 false,
                 "",
                 0,
                 terms.validation_readers()};
    if (history.close_entry == 0) gradient_.secret = "secret until the owner closes the campaign";
    if (campaign.default_close) gradient_.secret = "never revealed: the owner did not close";
    NamedArtifact set = gradient_;
    set.kind = BlobKind::kValidation;
    set.bytes = ValidationBytes(open);
    Put(weights_, open.model_digest());
    if (const auto code = learning::ModelCodeOf(terms.model_toml())) {
      NamedArtifact file = weights_;
      file.kind = BlobKind::kCode;
      file.bytes = code->size_bytes;
      file.readers = v1::PUBLIC;
      Put(file, base::Bytes(code->digest));
    }
    Put(set, open.validation_digest());
    for (const Round& round : history.rounds) AddRound(round);
  }

 private:
  void AddRound(const Round& round) {
    for (const Rejection& rejection : round.rejections) {
      if (!rejection.update) continue;
      NamedArtifact update = update_;
      update.at_most = rejection.body.reason() == v1::SHAPE;
      Put(update, base::Bytes(*rejection.update));
    }
    for (const Pass& pass : round.passes) {
      for (const auto& line : pass.aggregate.lines()) Put(update_, line.update_digest());
      Put(weights_, pass.aggregate.model_digest());
      if (pass.score) Put(gradient_, pass.score->gradient_digest());
    }
  }

  void Put(NamedArtifact artifact, const std::string& digest) {
    if (digest.empty()) return;                      // a void step has no gradient
    artifact.digest = *base::HashFromBytes(digest);  // replayed
    if (seen_.insert(artifact.digest).second) found_->push_back(std::move(artifact));
  }

  std::vector<NamedArtifact>* const found_;
  std::set<base::Hash> seen_;
  NamedArtifact weights_, update_, gradient_;  // of the campaign, without a digest
};

}  // namespace

std::vector<NamedArtifact> ArtifactsOf(const Replay& replay, std::optional<uint64_t> campaign) {
  std::vector<NamedArtifact> found;
  Collector collector(&found);
  for (const auto& [id, history] : replay.history.campaigns) {
    if (campaign && *campaign != id) continue;
    collector.Add(id, history, *replay.state.FindCampaign(id));
  }
  return found;
}

}  // namespace crowdteach::audit
