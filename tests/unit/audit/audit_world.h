// Logs as bundles, and one campaign whose models, updates, gradient and validation set are real.
#pragma once

#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "learning/aggregate/fedavg.h"
#include "learning/aggregate/norms.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"
#include "learning/score/gradient.h"
#include "learning/score/rational.h"
#include "ledger/audit/replay.h"
#include "ledger/canonical.h"
#include "ledger/checkpoint.h"
#include "ledger/merkle.h"
#include "proto/base/bytes.h"
#include "tests/support/learning_world.h"
#include "tests/support/ledger_builder.h"

namespace crowdteach::audit {

using testing::LedgerBuilder;

template <typename T>
T Value(StatusOr<T> value) {
  INFO(value.status());
  REQUIRE(value.ok());
  return *std::move(value);
}

inline ledger::VerifierKey KeyOf(const LedgerBuilder& log) {
  return Value(ledger::ParseVkey(log.state.genesis().log_vkey()));
}

inline std::string Framed(std::string_view bytes) {
  std::string out;
  base::AppendU32(out, static_cast<uint32_t>(bytes.size()));
  return out.append(bytes);
}

inline std::vector<std::string> BytesOf(const std::vector<ledger::LoggedEntry>& entries) {
  std::vector<std::string> bytes;
  for (const ledger::LoggedEntry& entry : entries) bytes.push_back(entry.bytes);
  return bytes;
}

// The checkpoint note of a log with these entries, signed by the log: the coordinator's own hand.
inline std::string NoteOf(const LedgerBuilder& log, const std::vector<std::string>& entries) {
  ledger::MerkleTree tree;
  for (const std::string& bytes : entries) tree.Append(base::LeafHash(bytes));
  return ledger::SignCheckpoint({KeyOf(log).name, entries.size(), tree.Root()}, log.log_key);
}

// A bundle, whatever its parts say.
inline std::string BundleOf(uint64_t count, const std::vector<std::string>& entries,
                            const std::string& note) {
  std::string bundle = "crowdteach-bundle/v1\n";
  base::AppendU64(bundle, count);
  for (const std::string& bytes : entries) bundle += Framed(bytes);
  return bundle + Framed(note);
}
inline std::string BundleOf(const LedgerBuilder& log,
                            const std::vector<ledger::LoggedEntry>& entries) {
  return BundleOf(entries.size(), BytesOf(entries), NoteOf(log, BytesOf(entries)));
}
inline std::string BundleOf(const LedgerBuilder& log) { return BundleOf(log, log.entries); }

inline Replay Replayed(const std::string& bundle, const ledger::VerifierKey& key) {
  return Value(ReplayBundle(ledger::StringSource(bundle), key));
}

// D = 0 and E in proportion to the planned scores, so that exactly those scores follow.
inline void ScoresThatFollow(const v1::Aggregate& aggregate, v1::Score* score) {
  base::Int128 sum = 0;
  for (const v1::ScoreLine& line : score->lines()) sum += line.phi_q32();
  for (v1::ScoreLine& line : *score->mutable_lines()) {
    line.clear_d();
    line.set_e(base::EncodeWide(sum < 0 ? -line.phi_q32() : line.phi_q32()));
  }
}

// One round of two teachers, closed and refunded.
struct SmallLog {
  LedgerBuilder log;
  uint64_t owner = 0;
  uint64_t campaign = 0;
  std::vector<uint64_t> teachers;

  explicit SmallLog(size_t count = 2, uint32_t rounds = 1) {
    log.finish_score = ScoresThatFollow;
    owner = log.NewAccount(v1::OWNER);
    v1::CampaignOpen open = testing::SmallCampaign();
    open.mutable_terms()->set_rounds(rounds);
    open.mutable_terms()->set_quorum(1);
    log.Issue(owner, open.terms().budget());
    campaign = log.OpenCampaign(owner, open);
    for (size_t i = 0; i < count; ++i) teachers.push_back(log.NewTeacher(campaign));
  }
};

// A campaign whose artifacts are in folder/artifacts and whose bundle is folder/log.bundle.
struct RealCampaign {
  learning::TestFolder folder;
  LedgerBuilder log;
  learning::TileExecutor executor{2};
  learning::WeightsFormat format;
  std::mt19937_64 random{5};
  uint64_t owner = 0;
  uint64_t campaign = 0;
  base::Hash gradient{};  // of the last round
  base::Hash validation{};
  std::map<uint64_t, base::Hash> updates;  // of the last round

  explicit RealCampaign(v1::NormRule rule = v1::CLIP) {
    std::filesystem::create_directory(folder.File("artifacts"));
    v1::CampaignOpen open = testing::SmallCampaign();
    open.mutable_terms()->set_model_toml(
        "[model]\nname = \"tiny\"\ninput = [4]\n\n[[layer]]\nname = \"out\"\ntype = \"Linear\"\n"
        "in_features = 4\nout_features = 2\n");
    open.mutable_terms()->set_rounds(2);
    open.mutable_terms()->set_norm_rule(rule);
    format.layout = learning::LayoutOf(Value(learning::ParseModelSpec(open.terms().model_toml())));
    format.data_offset_bytes = learning::CanonicalHeader(format.layout).size();
    open.set_parameters(format.layout.trainable);
    open.set_model_size_bytes(format.SizeBytes());
    const std::string model = folder.File("model");
    std::normal_distribution<float> normal(0, 1);
    REQUIRE(learning::WriteWeights(model, format.layout, [&](uint64_t, std::span<float> tile) {
              for (float& value : tile) value = normal(random);
              return OkStatus();
            }).ok());
    open.set_model_digest(base::Bytes(Publish(base::BlobKind::kWeights, model)));
    MakeValidation(&open);
    owner = log.NewAccount(v1::OWNER);
    log.Issue(owner, open.terms().budget());
    campaign = log.OpenCampaign(owner, open);
    for (int i = 0; i < 3; ++i) log.NewTeacher(campaign);
  }

  std::string Path(const base::Hash& digest) const {
    return folder.File("artifacts/" + base::Hex(digest));
  }
  base::Hash Publish(base::BlobKind kind, const std::string& path) {
    const base::Hash digest = Value(learning::BlobDigestOfFile(kind, path, executor));
    std::filesystem::rename(path, Path(digest));
    return digest;
  }
  base::Hash PublishValues(base::BlobKind kind, const std::string& head,
                           const std::vector<int32_t>& values) {
    learning::WriteValues(folder.File("values"), head, values);
    return Publish(kind, folder.File("values"));
  }

  void MakeValidation(v1::CampaignOpen* open) {
    std::string bytes;
    base::RootBuilder root;
    for (uint32_t i = 0; i < open->validation_count(); ++i) {
      std::string record(16, static_cast<char>('a' + i % 26));
      base::AppendU32(record, i % 2);
      record += std::string(16, '\0');
      root.Append(base::LeafHash(record));
      bytes += record;
    }
    std::ofstream(folder.File("set"), std::ios::binary) << bytes;
    validation = Publish(base::BlobKind::kValidation, folder.File("set"));
    open->set_validation_root(base::Bytes(root.Root()));
    open->set_validation_digest(base::Bytes(validation));
  }

  // A whole round; `lie` may change the score before it is logged.
  void RunRound(const std::function<void(v1::Aggregate*, v1::Score*)>& lie = nullptr) {
    const std::vector<uint64_t> selected = log.OpenRound(campaign);
    const uint32_t round = log.Campaign(campaign).round.number;
    const std::string salt(32, 's');
    std::vector<learning::TeacherUpdate> set;
    for (const uint64_t account : selected) {
      std::vector<int32_t> values(format.layout.trainable);
      const int64_t size = set.empty() ? 1 << 22 : 1 << 17;  // the first is over the norm cap
      for (int32_t& value : values) {
        value = static_cast<int32_t>(static_cast<int64_t>(random() % (2 * size)) - size);
      }
      updates[account] = PublishValues(base::BlobKind::kUpdate, "", values);
      learning::TeacherUpdate& update = set.emplace_back();
      update = {account, updates[account], 1, 0, learning::MemoryTiles(values)};
      v1::UpdateCommit commit;
      commit.set_campaign(campaign);
      commit.set_round(round);
      commit.set_commitment(base::Bytes(ledger::SealedCommitment(
          log.state.genesis_hash(), campaign, round, account, update.digest, salt)));
      log.Say(account, commit);
    }
    log.Say(0, log.CommitCloseOf(campaign));
    for (const auto& update : set) {
      v1::UpdateReveal reveal;
      reveal.set_campaign(campaign);
      reveal.set_round(round);
      reveal.set_update_digest(base::Bytes(update.digest));
      reveal.set_salt(salt);
      log.Say(update.account, reveal);
    }
    v1::Aggregate aggregate = log.AggregateOf(campaign, {});
    v1::Score score = MakeScore(&aggregate, std::move(set));
    if (lie) lie(&aggregate, &score);
    log.Say(0, aggregate);
    log.Say(0, score);
    log.Say(0, log.SettleOf(campaign));
  }

  v1::Score MakeScore(v1::Aggregate* aggregate, std::vector<learning::TeacherUpdate> set) {
    const ledger::CampaignState& now = log.Campaign(campaign);
    const v1::Terms& terms = now.open.terms();
    for (size_t i = 0; i < set.size(); ++i) {
      const auto norm = Value(learning::NormSquared(*set[i].values, executor));
      set[i].clip_factor = learning::ClipFactor(norm, terms.norm_cap());
      v1::AggregateLine& line = *aggregate->mutable_lines(static_cast<int>(i));
      line.set_clip_factor(set[i].clip_factor);
      line.set_norm_squared(base::EncodeWide(static_cast<base::Int128>(norm)));
    }
    const auto update_set =
        Value(learning::UpdateSet::Make(std::move(set), format.layout.trainable));
    const auto result =
        Value(learning::AggregateFedAvg(update_set, terms.scale_bits(), format,
                                        Path(now.model_digest), folder.File("next"), executor));
    aggregate->set_model_digest(
        base::Bytes(Publish(base::BlobKind::kWeights, folder.File("next"))));
    std::vector<int32_t> g(format.layout.trainable);
    for (int32_t& value : g) value = static_cast<int32_t>(random() >> 32) / 4;
    g[0] = 1 << 29;
    gradient = PublishValues(base::BlobKind::kGradient, std::string(32, 'x'), g);
    const auto d =
        Value(learning::GradientProducts(update_set, *learning::MemoryTiles(g), executor));
    constexpr uint32_t kBits = 33;
    constexpr int64_t kValue = testing::kNat / 10;
    std::vector<learning::TeacherProducts> products;
    for (size_t i = 0; i < d.size(); ++i) {
      products.push_back({update_set[i].account, update_set[i].digest, d[i], result.e[i]});
    }
    const auto scores = Value(learning::FinishScores(
        products, {update_set.total_weight(), terms.scale_bits(), kBits, kValue}));
    v1::Score score;
    score.set_campaign(campaign);
    score.set_round(now.round.number);
    score.set_pass(1);
    score.set_scorer(v1::AUMANN_SHAPLEY);
    score.set_scorer_version(1);
    score.set_path_nodes(2);
    score.set_loss_before_q32(now.loss_q32);
    score.set_loss_after_q32(now.loss_q32 - kValue);
    score.set_correct_before(now.correct);
    score.set_correct_after(now.correct + 5);
    score.set_gradient_bits(kBits);
    score.set_gradient_digest(base::Bytes(gradient));
    for (size_t i = 0; i < d.size(); ++i) {
      v1::ScoreLine& line = *score.add_lines();
      const v1::AggregateLine& from = aggregate->lines(static_cast<int>(i));
      line.set_account(from.account());
      line.set_update_digest(from.update_digest());
      line.set_weight(from.weight());
      line.set_clip_factor(from.clip_factor());
      line.set_d(base::EncodeWide(d[i]));
      line.set_e(base::EncodeWide(result.e[i]));
      line.set_phi_q32(scores[i]);
    }
    return score;
  }

  Evidence Export() {
    std::ofstream(folder.File("log.bundle"), std::ios::binary) << BundleOf(log);
    return Value(FindEvidence(folder.path(), ""));
  }
};

}  // namespace crowdteach::audit
