// What artifacts show beyond the bundle, and what is said of those that are missing.
#include <fstream>
#include <nlohmann/json.hpp>

#include "ledger/audit/verify.h"
#include "proto/base/exit_codes.h"
#include "tests/support/catch.h"
#include "tests/unit/audit/audit_world.h"

namespace crowdteach::audit {
namespace {

Report Verified(RealCampaign* world) { return Value(Verify(world->Export(), KeyOf(world->log))); }

std::string FaultOf(const Report& report) {
  if (!report.fault()) return "none";
  return fmt::format("{} ({}): {}", report.fault()->region, report.fault()->part,
                     report.fault()->reason);
}

void FlipByte(const std::string& path, size_t at) {
  std::string bytes = learning::ReadBytes(path);
  REQUIRE(at < bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TEST_CASE("a closed campaign with all its artifacts verifies to the last product") {
  RealCampaign world;
  world.RunRound();
  world.RunRound();
  world.log.CloseAndRefund(world.campaign);
  const Report report = Verified(&world);
  INFO(FaultOf(report));
  INFO(ReportText(report));
  REQUIRE(report.exit_code() == kExitOk);
  const Counts& counts = report.artifacts.counts;
  CHECK(counts.models == 2);
  CHECK(counts.norms == 6);
  CHECK(counts.step_products == 6);
  CHECK(counts.gradients == 2);
  CHECK(counts.gradient_products == 6);
  CHECK(counts.validation_sets == 1);
  // 3 models, 6 updates, 2 gradients, 1 validation set.
  CHECK(counts.artifacts == 12);
  CHECK(report.replay.scores == 6);
}

TEST_CASE("a changed artifact is named, whichever it is") {
  RealCampaign world;
  world.RunRound();
  world.log.CloseAndRefund(world.campaign);
  const auto& state = world.log.Campaign(world.campaign);
  const base::Hash first = *base::HashFromBytes(state.open.model_digest());
  for (const base::Hash& digest : {first, state.model_digest, world.updates.begin()->second,
                                   world.gradient, world.validation}) {
    FlipByte(world.Path(digest), 33);
    const Report report = Verified(&world);
    CHECK(report.exit_code() == kExitDisproved);
    REQUIRE(report.fault().has_value());
    CHECK(report.fault()->region == "artifact " + base::Hex(digest));
    FlipByte(world.Path(digest), 33);
  }
  CHECK(Verified(&world).exit_code() == kExitOk);
}

TEST_CASE("missing artifacts leave the audit incomplete and are named") {
  RealCampaign world;
  world.RunRound();
  world.log.CloseAndRefund(world.campaign);
  const base::Hash last = world.log.Campaign(world.campaign).model_digest;
  for (const base::Hash& digest :
       {world.updates.begin()->second, world.gradient, world.validation, last}) {
    std::filesystem::rename(world.Path(digest), world.folder.File("away"));
    const Report report = Verified(&world);
    CHECK(report.exit_code() == kExitIncomplete);
    CHECK(ReportText(report).find(base::Hex(digest)) != std::string::npos);
    std::filesystem::rename(world.folder.File("away"), world.Path(digest));
  }
}

TEST_CASE("before the close the gradient and the validation set are secret, not missing") {
  RealCampaign world;
  world.RunRound();
  std::filesystem::remove(world.Path(world.gradient));
  std::filesystem::remove(world.Path(world.validation));
  const Report report = Verified(&world);
  INFO(ReportText(report));
  CHECK(report.exit_code() == kExitOk);
  CHECK(report.artifacts.counts.models == 1);
  CHECK(report.artifacts.counts.gradient_products == 0);
}

TEST_CASE("a coordinator that lies about what artifacts show is disproved at its entry") {
  struct Lie {
    std::string part;
    std::function<void(v1::Aggregate*, v1::Score*)> tell;
  };
  const auto wide_plus_one = [](const std::string& wide) {
    return base::EncodeWide(*base::DecodeWide(wide) + 1);
  };
  // Of the scores each time what follows from the lie: it shows in the artifacts only.
  const auto rescore = [](v1::Score* score) {
    std::vector<learning::TeacherProducts> products;
    for (const auto& line : score->lines()) {
      products.push_back({line.account(), *base::HashFromBytes(line.update_digest()),
                          *base::DecodeWide(line.d()), *base::DecodeWide(line.e())});
    }
    const auto scores = Value(
        learning::FinishScores(products, {3, 24, score->gradient_bits(), testing::kNat / 10}));
    for (int i = 0; i < score->lines_size(); ++i) {
      score->mutable_lines(i)->set_phi_q32(scores[static_cast<size_t>(i)]);
    }
  };
  const std::vector<Lie> lies = {
      {"aggregate", [](v1::Aggregate* aggregate,
                       v1::Score*) { aggregate->set_model_digest(std::string(32, 'm')); }},
      {"aggregate",
       [&](v1::Aggregate* aggregate, v1::Score*) {
         v1::AggregateLine& line = *aggregate->mutable_lines(1);
         line.set_norm_squared(wide_plus_one(line.norm_squared()));
       }},
      {"score",
       [&](v1::Aggregate*, v1::Score* score) {
         score->mutable_lines(1)->set_e(wide_plus_one(score->lines(1).e()));
         rescore(score);
       }},
      {"score",
       [&](v1::Aggregate*, v1::Score* score) {
         score->mutable_lines(2)->set_d(wide_plus_one(score->lines(2).d()));
         rescore(score);
       }},
      {"score",
       [](v1::Aggregate*, v1::Score* score) { score->set_gradient_digest(std::string(32, 'g')); }}};
  for (size_t i = 0; i < lies.size(); ++i) {
    INFO("lie " << i);
    RealCampaign world;
    world.RunRound(lies[i].tell);
    world.log.CloseAndRefund(world.campaign);
    const Report report = Verified(&world);
    INFO(FaultOf(report));
    REQUIRE_FALSE(report.replay.verdict.fault.has_value());
    if (i == 4) {  // a gradient nobody can show
      CHECK(report.exit_code() == kExitIncomplete);
      continue;
    }
    REQUIRE(report.exit_code() == kExitDisproved);
    CHECK(report.fault()->part == lies[i].part);
    const Pass& pass = report.replay.history.campaigns.at(world.campaign).rounds[0].passes[0];
    const uint64_t entry = lies[i].part == "score" ? pass.score_entry : pass.aggregate_entry;
    CHECK(report.fault()->region == fmt::format("entry {}", entry));
  }
}

TEST_CASE("a bundle alone is ok, and says what it leaves open") {
  RealCampaign world;
  world.RunRound();
  world.Export();
  const Evidence evidence = Value(FindEvidence(world.folder.File("log.bundle"), ""));
  const Report report = Value(Verify(evidence, KeyOf(world.log)));
  CHECK(report.exit_code() == kExitOk);
  const auto json = nlohmann::json::parse(ReportJson(report));
  CHECK(json["audit"] == "ok");
  CHECK(json["entries"] == world.log.entries.size());
  CHECK(json["checkpoint"]["size"] == world.log.entries.size());
  CHECK(json["checkpoint"]["root"].get<std::string>().size() == 64);
  CHECK(json["rules_version"] == 0);
  CHECK(json["checked"]["scores"] == 3);
  CHECK(json["unchecked"].size() == 7);
  CHECK_FALSE(json.contains("fault"));
}

TEST_CASE("a fault in JSON has region, part and reason") {
  RealCampaign world;
  world.Export();
  FlipByte(world.folder.File("log.bundle"), 100);
  const Evidence evidence = Value(FindEvidence(world.folder.path(), ""));
  const Report report = Value(Verify(evidence, KeyOf(world.log)));
  CHECK(report.exit_code() == kExitDisproved);
  const auto json = nlohmann::json::parse(ReportJson(report));
  CHECK(json["audit"] == "disproved");
  CHECK(json["fault"]["region"] == "entry 0");
  CHECK(json["fault"].contains("part"));
  CHECK(json["fault"]["reason"].get<std::string>().size() > 5);
  CHECK_FALSE(json.contains("checkpoint"));
}

}  // namespace
}  // namespace crowdteach::audit
