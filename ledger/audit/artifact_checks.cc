// What models, updates, gradients and validation sets show beyond the bundle.
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <thread>
#include <utility>

#include "learning/aggregate/norms.h"
#include "learning/aggregate/tile_source.h"
#include "learning/data/validation.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"
#include "learning/score/gradient.h"
#include "learning/score/recompute.h"
#include "ledger/audit/artifact_folder.h"
#include "ledger/audit/verify.h"

namespace crowdteach::audit {
namespace {

namespace fs = std::filesystem;
using base::BlobKind;
using ledger::CampaignState;
using Found = ArtifactFolder::Found;

class TemporaryFolder {
 public:
  static StatusOr<TemporaryFolder> Make() {
    std::error_code error;
    std::string path = (fs::temp_directory_path(error) / "crowdteach-audit-XXXXXX").string();
    if (error || mkdtemp(path.data()) == nullptr) return ErrnoStatus(errno, path);
    return TemporaryFolder(std::move(path));
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;  // nothing is left to be told at the end
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  std::string File(std::string_view name) const { return (fs::path(path_) / name).string(); }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// What the evidence says, as opposed to what this machine could not do.
bool IsVerdict(const Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status) ||
         absl::IsOutOfRange(status) || absl::IsFailedPrecondition(status);
}

base::Hash HashOf(const std::string& bytes) { return *base::HashFromBytes(bytes); }  // replayed

// k is the largest with max|G|·2^k < 2^30 - 1/2, so the largest |g| lies in [2^29, 2^30) unless k
// is 60 or g is 0.
Status CheckGradientBits(const std::string& path, uint64_t parameters, uint32_t bits) {
  CT_ASSIGN_OR_RETURN(const auto g,
                      learning::OpenInt32File(path, parameters, learning::kGradientSaltBytes));
  int64_t largest = 0;
  std::vector<int32_t> tile(std::min(parameters, learning::kTileValues));
  for (uint64_t first = 0; first < parameters; first += tile.size()) {
    tile.resize(std::min<uint64_t>(tile.size(), parameters - first));
    CT_RETURN_IF_ERROR(g->Read(first, tile));
    for (const int32_t value : tile) {
      largest = std::max(largest, value < 0 ? -int64_t{value} : int64_t{value});
    }
  }
  const bool fits = largest < int64_t{1} << 30;
  const bool tight = largest >= int64_t{1} << 29 || bits == learning::kMaxGradientBits ||
                     (largest == 0 && bits == 0);
  if (fits && tight) return OkStatus();
  return DataLoss("k = {} does not fit the gradient, whose largest value is {}", bits, largest);
}

struct CampaignCheck {
  uint64_t id = 0;
  const CampaignState& state;
  const CampaignHistory& history;
  learning::WeightsFormat format;
  bool revealed() const { return history.close_entry != 0 && !state.default_close; }
};

class Checker {
 public:
  Checker(const Replay& replay, const std::string& folder, TemporaryFolder temporary)
      : replay_(replay),
        temporary_(std::move(temporary)),
        executor_(std::max(1U, std::thread::hardware_concurrency())),
        folder_(folder, executor_) {}

  StatusOr<ArtifactReport> Run() {
    for (const auto& [id, history] : replay_.history.campaigns) {
      CT_RETURN_IF_ERROR(CheckCampaign(id, history));
      if (Faulty()) break;
    }
    report_.counts.artifacts = folder_.whole();
    if (folder_.fault() && !report_.fault) report_.fault = folder_.fault();
    return std::move(report_);
  }

 private:
  bool Faulty() const { return report_.fault.has_value() || folder_.fault().has_value(); }

  void Fault(uint64_t entry, std::string_view part, const std::string& reason) {
    report_.fault = {fmt::format("entry {}", entry), std::string(part), reason};
  }
  // Turns the verdict in `status` into a fault; what is this machine's stays an error.
  Status Judge(const Status& status, uint64_t entry, std::string_view part) {
    if (status.ok() || !IsVerdict(status)) return status;
    Fault(entry, part, Message(status));
    return OkStatus();
  }
  void Leave(std::string kind, std::string what, std::string why, bool missing,
             std::vector<uint64_t> entries) {
    report_.unchecked.push_back(
        {std::move(kind), std::move(what), std::move(why), std::move(entries), missing});
  }

  Status CheckCampaign(uint64_t id, const CampaignHistory& history) {
    CampaignCheck campaign{id, *replay_.state.FindCampaign(id), history, {}};
    if (CheckModel(&campaign)) {
      for (const Round& round : history.rounds) {
        CT_RETURN_IF_ERROR(CheckRound(campaign, round));
        if (Faulty()) return OkStatus();
      }
    }
    const std::string missing =
        Missing(BlobKind::kWeights, campaign.state.model_digest, "the model");
    if (!missing.empty() && campaign.state.settled_rounds > 0) {
      Leave("last_model", fmt::format("the file of the last model of campaign {}", id), missing,
            true, {});
    }
    if (Faulty()) return OkStatus();
    return CheckValidation(campaign);
  }

  // False: the rounds cannot be checked.
  bool CheckModel(CampaignCheck* campaign) {
    const v1::CampaignOpen& open = campaign->state.open;
    const auto spec = learning::ParseModelSpec(open.terms().model_toml());
    if (!spec.ok()) {
      Leave("rounds", fmt::format("the rounds of campaign {}", campaign->id),
            fmt::format("this auditor cannot read its model: {}", Message(spec.status())), true,
            {campaign->id});
      return false;
    }
    campaign->format.layout = learning::LayoutOf(*spec);
    campaign->format.data_offset_bytes = learning::CanonicalHeader(campaign->format.layout).size();
    if (campaign->format.layout.trainable != open.parameters() ||
        campaign->format.SizeBytes() != open.model_size_bytes()) {
      Fault(campaign->id, "model",
            fmt::format("model.toml has {} trainable parameters and {} bytes, recorded are {} and "
                        "{}",
                        campaign->format.layout.trainable, campaign->format.SizeBytes(),
                        open.parameters(), open.model_size_bytes()));
      return false;
    }
    return true;
  }

  Status CheckRound(const CampaignCheck& campaign, const Round& round) {
    for (const Rejection& rejection : round.rejections) {
      CT_RETURN_IF_ERROR(CheckRejection(campaign, rejection));
      if (Faulty()) return OkStatus();
    }
    for (const Pass& pass : round.passes) {
      CT_RETURN_IF_ERROR(CheckPass(campaign, round, pass));
      if (Faulty()) return OkStatus();
    }
    return OkStatus();
  }

  // The digest and the role of what is missing, empty if nothing is.
  std::string Missing(BlobKind kind, const base::Hash& digest, std::string_view role) {
    if (folder_.Look(kind, digest) != Found::kMissing) return {};
    return fmt::format("{} {} is not among the artifacts, or cannot be read", role,
                       base::Hex(digest));
  }

  Status CheckPass(const CampaignCheck& campaign, const Round& round, const Pass& pass) {
    const std::string name =
        fmt::format("pass {} of {}", pass.aggregate.pass(), RoundName(campaign.id, round.number));
    const v1::Terms& terms = campaign.state.open.terms();
    learning::RecordedAggregate recorded;
    recorded.scale_bits = terms.scale_bits();
    recorded.norm_cap = terms.norm_cap();
    recorded.clips = terms.norm_rule() == v1::CLIP;
    recorded.base_digest = HashOf(round.open.base_digest());
    recorded.model_digest = HashOf(pass.aggregate.model_digest());
    std::string updates_missing;
    for (const v1::AggregateLine& line : pass.aggregate.lines()) {
      const base::Hash digest = HashOf(line.update_digest());
      if (updates_missing.empty()) {
        updates_missing = Missing(BlobKind::kUpdate, digest,
                                  fmt::format("the update of account {},", line.account()));
      }
      CT_ASSIGN_OR_RETURN(const base::Int128 norm, base::DecodeWide(line.norm_squared()));
      recorded.updates.push_back({line.account(), digest, line.weight(), line.clip_factor(),
                                  static_cast<base::UInt128>(norm), folder_.Path(digest)});
    }
    std::string missing = updates_missing;
    if (missing.empty()) {
      missing = Missing(BlobKind::kWeights, recorded.base_digest, "the model of the round,");
    }
    if (Faulty()) return OkStatus();
    if (missing.empty()) {
      CT_RETURN_IF_ERROR(CheckAggregate(campaign, pass, recorded));
    } else {
      std::vector<uint64_t> entries = {pass.aggregate_entry};
      if (pass.score) entries.push_back(pass.score_entry);
      Leave("aggregates", fmt::format("{}: norms, clip factors, the next model, E", name), missing,
            true, std::move(entries));
    }
    if (Faulty() || !pass.score || pass.score->path_nodes() == 0) return OkStatus();
    return CheckGradient(campaign, pass, recorded, name, updates_missing);
  }

  Status CheckAggregate(const CampaignCheck& campaign, const Pass& pass,
                        const learning::RecordedAggregate& recorded) {
    const std::string next = temporary_.File("next.safetensors");
    const auto result = learning::RecomputeAggregate(
        recorded, campaign.format, folder_.Path(recorded.base_digest), next, executor_);
    if (!result.ok()) return Judge(result.status(), pass.aggregate_entry, "aggregate");
    // The file may be left out (it follows), but not be another's.
    folder_.Look(BlobKind::kWeights, recorded.model_digest);
    report_.counts.norms += recorded.updates.size();
    report_.counts.models++;
    if (!pass.score) return OkStatus();
    if (result->is_void != (pass.score->path_nodes() == 0)) {
      Fault(pass.score_entry, "score",
            result->is_void ? "the step is void, but it was scored"
                            : "the step is not void, but it was not scored");
      return OkStatus();
    }
    if (result->is_void) return OkStatus();
    return CheckProducts(pass, result->e, true);
  }

  // Recorded E (or D) against what the artifacts give.
  Status CheckProducts(const Pass& pass, const std::vector<base::Int128>& found, bool is_e) {
    for (int i = 0; i < pass.score->lines_size(); ++i) {
      const v1::ScoreLine& line = pass.score->lines(i);
      CT_ASSIGN_OR_RETURN(const base::Int128 recorded,
                          base::DecodeWide(is_e ? line.e() : line.d()));
      const base::Int128 expected = found[static_cast<size_t>(i)];
      if (recorded != expected) {
        Fault(pass.score_entry, "score",
              fmt::format("{} of account {} is {}; the artifacts give {}", is_e ? "E" : "D",
                          line.account(), base::WideToDecimal(recorded),
                          base::WideToDecimal(expected)));
        return OkStatus();
      }
      (is_e ? report_.counts.step_products : report_.counts.gradient_products)++;
    }
    return OkStatus();
  }

  Status CheckGradient(const CampaignCheck& campaign, const Pass& pass,
                       const learning::RecordedAggregate& recorded, const std::string& name,
                       const std::string& updates_missing) {
    const base::Hash digest = HashOf(pass.score->gradient_digest());
    std::string missing = Missing(BlobKind::kGradient, digest, "the gradient");
    if (Faulty()) return OkStatus();
    if (!missing.empty() && !campaign.revealed()) {
      missing = campaign.history.close_entry == 0
                    ? "the gradient is secret until the campaign closes"
                    : "the campaign was closed by default, without a reveal";
      Leave("gradient_products", fmt::format("{}: D", name), missing, false, {pass.score_entry});
      return OkStatus();
    }
    if (!missing.empty() || !updates_missing.empty()) {
      Leave("gradient_products", fmt::format("{}: D", name),
            missing.empty() ? updates_missing : missing, true, {pass.score_entry});
      return OkStatus();
    }
    const uint64_t parameters = campaign.format.layout.trainable;
    const std::string path = folder_.Path(digest);
    const Status bits = CheckGradientBits(path, parameters, pass.score->gradient_bits());
    if (!bits.ok()) return Judge(bits, pass.score_entry, "score");
    const auto d =
        learning::RecomputeGradientProducts(recorded, parameters, digest, path, executor_);
    if (!d.ok()) return Judge(d.status(), pass.score_entry, "score");
    report_.counts.gradients++;
    return CheckProducts(pass, *d, false);
  }

  // SHAPE and NORM are predicates of the update alone, if it was kept.
  Status CheckRejection(const CampaignCheck& campaign, const Rejection& rejection) {
    const v1::RejectReason reason = rejection.body.reason();
    if (reason != v1::SHAPE && reason != v1::NORM) return OkStatus();
    if (!rejection.update || folder_.Look(BlobKind::kUpdate, *rejection.update) != Found::kWhole) {
      return OkStatus();  // stays among the claims
    }
    const uint64_t parameters = campaign.format.layout.trainable;
    const auto values = learning::OpenInt32File(folder_.Path(*rejection.update), parameters);
    report_.shown_rejections.insert(rejection.entry);
    if (!values.ok()) {
      if (!absl::IsInvalidArgument(values.status())) return values.status();
      if (reason != v1::SHAPE) Fault(rejection.entry, "intent", "the update has another shape");
      return OkStatus();
    }
    CT_ASSIGN_OR_RETURN(const base::UInt128 norm, learning::NormSquared(**values, executor_));
    const auto cap = static_cast<base::UInt128>(campaign.state.open.terms().norm_cap());
    if (reason == v1::SHAPE || norm <= cap * cap) {
      Fault(rejection.entry, "intent",
            fmt::format("the update of account {} is in order and was rejected as {}",
                        rejection.body.account(), v1::RejectReason_Name(reason)));
    }
    return OkStatus();
  }

  Status CheckValidation(const CampaignCheck& campaign) {
    const std::string name = fmt::format("the validation set of campaign {}", campaign.id);
    const v1::CampaignOpen& open = campaign.state.open;
    const base::Hash digest = HashOf(open.validation_digest());
    const std::string missing = Missing(BlobKind::kValidation, digest, "the set");
    if (Faulty()) return OkStatus();
    if (!missing.empty()) {
      Leave("validation_sets", name, campaign.revealed() ? missing : "it is not revealed",
            campaign.revealed(), {campaign.id});
      return OkStatus();
    }
    CT_ASSIGN_OR_RETURN(const auto commitment, learning::CommitmentOf(open));
    const auto set =
        learning::VerifyValidationSet(folder_.Path(digest), commitment, open.terms().data());
    if (!set.ok()) return Judge(set.status(), campaign.id, "validation set");
    report_.counts.validation_sets++;
    return OkStatus();
  }

  const Replay& replay_;
  TemporaryFolder temporary_;
  learning::TileExecutor executor_;
  ArtifactFolder folder_;
  ArtifactReport report_;
};

}  // namespace

StatusOr<ArtifactReport> CheckArtifacts(const Replay& replay, const std::string& folder) {
  CT_ASSIGN_OR_RETURN(TemporaryFolder temporary, TemporaryFolder::Make());
  return Checker(replay, folder, std::move(temporary)).Run();
}

}  // namespace crowdteach::audit
