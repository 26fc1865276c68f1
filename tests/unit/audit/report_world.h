// Ledgers worth a report: an ordinary one, one of strange names, one too large to show whole.
#pragma once

#include <string>

#include "ledger/audit/report_html.h"
#include "tests/unit/audit/audit_world.h"

namespace crowdteach::audit {

// Rounds in which teachers win, lose and are rejected, and one that is aborted.
struct StoryLog {
  explicit StoryLog(size_t teachers = 6, uint32_t rounds = 12, bool strange = false) {
    LedgerBuilder& log = world;
    log.finish_score = ScoresThatFollow;
    owner = log.NewAccount(v1::OWNER);
    v1::CampaignOpen open = testing::SmallCampaign();
    v1::Terms& terms = *open.mutable_terms();
    terms.set_rounds(rounds);
    terms.set_teachers(static_cast<uint32_t>(std::min<size_t>(teachers, 256)));
    terms.set_quorum(1);
    terms.set_budget(300'000);
    terms.set_credits_per_nat(100'000);
    terms.set_stake(2000);
    terms.set_min_cover(100);
    terms.set_name(strange
                       ? "<script>alert(\"1\")</script> & '80 characters that never end, none of "
                         "it HTML"
                       : "a small story");
    log.Issue(owner, terms.budget());
    campaign = log.OpenCampaign(owner, open);
    for (size_t i = 0; i < teachers; ++i) {
      if (strange) log.next_name = Strange(i);
      accounts.push_back(log.NewTeacher(campaign));
    }
    for (uint32_t round = 1; round <= rounds; ++round) RunRound(round, rounds);
    log.CloseAndRefund(campaign);
  }

  static std::string Strange(size_t i) {
    const std::string names[] = {"\"><svg onload=alert(1)><!--",
                                 "</table></body></html>",
                                 "&lt;b&gt; {{7*7}} ${x} %s \\u202e",
                                 "' style='position:fixed",
                                 "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
                                 "ada"};
    return names[i % 6];
  }

  void RunRound(uint32_t round, uint32_t rounds) {
    LedgerBuilder& log = world;
    testing::RoundPlan plan;
    const int64_t fall = testing::kNat / rounds;  // of 2 nats, with what follows for the others
    for (size_t i = 0; i < accounts.size(); ++i) {
      testing::TeacherPlan& teacher = plan[accounts[i]];
      const auto wave = static_cast<int64_t>((i * 7919 + round * 104729) % 1000);
      teacher.phi_q32 = fall * (600 + wave) / (1000 * static_cast<int64_t>(accounts.size()));
      if (i % 6 == 5) teacher.phi_q32 = -teacher.phi_q32 / 20;
      if (i % 6 == 4) teacher.phi_q32 = 0;
      if (i == 1 && round == 2) teacher.reveals = false;
      if (i == 2 && round == 3) teacher.commits = false;
      if (i == 5 && round == 4) teacher.phi_q32 = -testing::kNat / 20;  // not covered
      if (round == 5) teacher.commits = false;                          // nobody: aborted
    }
    log.RunRound(campaign, plan);
  }

  std::string Html(const std::string& folder) const {
    const std::string path = folder + "/log.bundle";
    std::ofstream(path, std::ios::binary) << BundleOf(world);
    const Report report = Value(Verify({path, ""}, KeyOf(world)));
    INFO((report.fault() ? report.fault()->reason : "no fault"));
    REQUIRE_FALSE(report.fault().has_value());
    return ReportHtml(report, Value(Summarise(report.replay, {})), FormatVkey(KeyOf(world)));
  }

  LedgerBuilder world;
  uint64_t owner = 0;
  uint64_t campaign = 0;
  std::vector<uint64_t> accounts;
};

}  // namespace crowdteach::audit
