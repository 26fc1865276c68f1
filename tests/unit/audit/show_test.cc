// The figures that `show` prints, and one entry in words.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "ledger/audit/entry_text.h"
#include "ledger/audit/summary.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/audit/audit_world.h"

namespace crowdteach::audit {
namespace {

using testing::kNat;

// Round 1: both are paid. Round 2: the second cannot cover its charge, loses its stake, and pass 2
// settles without it. Its score is that of pass 1.
struct Story {
  SmallLog small{2, 3};
  Replay replay;
  Story() {
    LedgerBuilder& log = small.log;
    log.RunRound(small.campaign, {{small.teachers[0], {.phi_q32 = kNat / 4}},
                                  {small.teachers[1], {.phi_q32 = kNat / 8}}});
    log.RunRound(small.campaign, {{small.teachers[0], {.phi_q32 = kNat / 2}},
                                  {small.teachers[1], {.phi_q32 = -kNat}}});
    replay = Replayed(BundleOf(log), KeyOf(log));
    REQUIRE_FALSE(replay.verdict.fault.has_value());
  }
};

TEST_CASE("scores, rewards and stakes of a campaign with an uncovered teacher") {
  const Story story;
  const Summary summary = Value(Summarise(story.replay, {}));
  const auto json = nlohmann::json::parse(SummaryJson(summary));
  REQUIRE(json["campaigns"].size() == 1);
  const auto& campaign = json["campaigns"][0];
  CHECK(campaign["name"] == "small");
  CHECK(campaign["phase"] == "running");
  CHECK(campaign["settled_rounds"] == 2);
  CHECK(campaign["loss"] == std::vector<double>{2.0, 1.625, 1.125});
  CHECK(campaign["accuracy"] == std::vector<double>{0.1, 0.1, 0.1});
  CHECK(campaign["value_nats"] == 0.875);
  CHECK(campaign["model_digest"].get<std::string>().size() == 64);
  REQUIRE(campaign["teachers"].size() == 2);
  const auto& good = campaign["teachers"][0];
  CHECK(good["score_nats"] == 0.75);
  CHECK(good["reward_credits"] == 75);
  CHECK(good["stake_credits"] == 50);
  CHECK(good["examples"] == 100);
  const auto& bad = campaign["teachers"][1];
  CHECK(bad["score_nats"] == -0.875);       // 1/8 and the -1 of round 2's pass 1
  CHECK(bad["reward_credits"] == 12 - 62);  // earned 12, lost them and its stake of 50
  CHECK(bad["stake_credits"] == 0);
  const auto& seat = campaign["rounds"][1]["teachers"][1];
  CHECK(seat["rejected"] == "uncovered");
  CHECK(seat["pass"] == 1);
  CHECK(seat["included"] == false);
  CHECK(campaign["rounds"][1]["pass"] == 2);
  // Nothing was made or lost on the way.
  int64_t held_and_stake = 0;
  for (const auto& [key, balance] : story.small.log.state.balances()) {
    if (key.kind == v1::STAKE || key.kind == v1::HELD) held_and_stake += balance;
  }
  CHECK(held_and_stake == 100 + 75 + (12 - 62));
}

TEST_CASE("the filter narrows teachers and rounds, sums stay whole") {
  const Story story;
  const uint64_t account = story.small.teachers[1];
  const auto name = story.small.log.state.FindAccount(account)->name;
  for (const std::string& teacher : {name, fmt::format("{}", account)}) {
    const Summary summary = Value(Summarise(story.replay, {{}, teacher, 2}));
    REQUIRE(summary.campaigns.size() == 1);
    REQUIRE(summary.campaigns[0].teachers.size() == 1);
    CHECK(summary.campaigns[0].teachers[0].score_nats == -0.875);
    REQUIRE(summary.campaigns[0].rounds.size() == 1);
    CHECK(summary.campaigns[0].rounds[0].teachers.size() == 1);
  }
  const Summary whole = Value(Summarise(story.replay, {}));
  const Summary one = Value(Summarise(story.replay, {{}, name, {}}));
  size_t all_included = 0;
  for (size_t i = 0; i < whole.campaigns[0].rounds.size(); ++i) {
    CHECK(one.campaigns[0].rounds[i].included == whole.campaigns[0].rounds[i].included);
    all_included += whole.campaigns[0].rounds[i].included;
  }
  CHECK(all_included > whole.campaigns[0].rounds.size());  // more than the one shown
  using testing::Refused;
  const auto code = absl::StatusCode::kInvalidArgument;
  CHECK(Refused(Summarise(story.replay, {{}, "nobody", {}}), code,
                fmt::format("numbered \"nobody\"; teachers are {} ({}), {} ({})",
                            story.small.log.state.FindAccount(story.small.teachers[0])->name,
                            story.small.teachers[0], name, account)));
  CHECK(Refused(Summarise(story.replay, {99, "", {}}), code,
                fmt::format("no campaign 99; campaigns are {}", story.small.campaign)));
  CHECK(Refused(Summarise(story.replay, {{}, "", 9}), code, "no round 9; the last one is 2"));
  CHECK(Refused(Summarise(story.replay, {{}, "", 0}), code, "no round 0; the last one is 2"));
}

TEST_CASE("tables are aligned and the CSV has a line a score") {
  const Story story;
  const Summary summary = Value(Summarise(story.replay, {}));
  const std::string csv = SummaryCsv(summary);
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 5);
  CHECK(csv.find("rejected: uncovered") != std::string::npos);
  // A name is other people's text: a spreadsheet must not compute it.
  Summary named = summary;
  for (auto& campaign : named.campaigns) {
    for (auto& teacher : campaign.teachers) teacher.name = "=cmd|'/c calc'!A1,\"x";
  }
  CHECK(SummaryCsv(named).find("\"'=cmd|'/c calc'!A1,\"\"x\"") != std::string::npos);
  const std::string table = SummaryTable(summary);
  CHECK(table.find("0.250000") != std::string::npos);
  CHECK(table.find("(uncovered)") != std::string::npos);
  CHECK(table.find(" \n") == std::string::npos);
}

TEST_CASE("an entry in words") {
  const Story story;
  const auto& entries = story.small.log.entries;
  const auto settle = std::find_if(entries.begin(), entries.end(),
                                   [](const auto& entry) { return entry.intent.has_settle(); });
  REQUIRE(settle != entries.end());
  const std::string text = EntryText(*settle);
  INFO(text);
  CHECK(text.find("SETTLE by the operator, 2023-11-14 22:13:20.000 UTC") != std::string::npos);
  CHECK(text.find(fmt::format("escrow/{}", story.small.campaign)) != std::string::npos);
  CHECK(text.find("+25") != std::string::npos);
  for (const auto& entry : entries) CHECK(EntryText(entry).size() > 80);
}

}  // namespace
}  // namespace crowdteach::audit
