#include "ledger/audit/summary.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "ledger/words.h"
#include "proto/base/bytes.h"
#include "proto/base/wide.h"

namespace crowdteach::audit {
namespace {

using ledger::CampaignPhase;
using ledger::CampaignState;

// Exact for integers up to 2^53; for showing only.
double Nats(double q32) { return q32 / 4294967296.0; }

std::string PhaseName(CampaignPhase phase) {
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
  return "unknown";
}

std::string NameOf(const ledger::State& state, uint64_t account) {
  if (account == 0) return "operator";
  const ledger::Account* found = state.FindAccount(account);
  return found == nullptr ? "" : found->name;
}

TeacherRound SummariseSeat(const Round& round, uint64_t account, uint64_t weight) {
  TeacherRound seat{.account = account, .weight = weight};
  for (const Rejection& rejection : round.rejections) {
    if (rejection.body.account() == account) {
      seat.rejected = ledger::InWords(rejection.body.reason());
    }
  }
  for (const Pass& pass : round.passes) {
    if (!pass.score) continue;
    for (const v1::ScoreLine& line : pass.score->lines()) {
      if (line.account() != account) continue;
      seat.pass = pass.score->pass();
      seat.clip_factor = line.clip_factor();
      seat.score_nats = Nats(static_cast<double>(line.phi_q32()));
      seat.stderr_nats = Nats(static_cast<double>(line.stderr_q32()));
    }
  }
  seat.counted = round.CountedScore(account) != nullptr;
  seat.included = round.outcome == RoundOutcome::kSettled && seat.rejected.empty() && seat.pass > 0;
  const auto reward = round.rewards.find(account);
  if (reward != round.rewards.end()) seat.reward_credits = reward->second;
  return seat;
}

RoundSummary SummariseRound(const Round& round, const CampaignState& campaign) {
  RoundSummary summary;
  summary.round = round.number;
  summary.pass = round.passes.empty() ? 0 : round.passes.back().aggregate.pass();
  summary.outcome = round.outcome == RoundOutcome::kOpen ? "open" : "settled";
  if (round.outcome == RoundOutcome::kAborted) {
    summary.outcome = "aborted: " + ledger::LowerCase(v1::AbortReason_Name(round.aborted));
  }
  if (const Pass* pass = round.Settled()) {
    summary.settled = true;
    const v1::Score& score = *pass->score;
    summary.loss = Nats(static_cast<double>(score.loss_after_q32()));
    summary.accuracy = static_cast<double>(score.correct_after()) /
                       static_cast<double>(campaign.open.validation_count());
    summary.value_nats = Nats(static_cast<double>(score.loss_before_q32()) -
                              static_cast<double>(score.loss_after_q32()));
  }
  for (int i = 0; i < round.open.selected_size(); ++i) {
    summary.teachers.push_back(SummariseSeat(round, round.open.selected(i), round.open.weights(i)));
  }
  return summary;
}

TeacherSummary SummariseTeacher(const CampaignSummary& campaign, const CampaignHistory& history,
                                uint64_t account, const ledger::State& state) {
  TeacherSummary teacher;
  teacher.account = account;
  teacher.name = NameOf(state, account);
  base::Int128 score_q32 = 0;  // uncovered scores may be large and many
  double squares = 0;
  for (const Round& round : history.rounds) {
    if (const v1::ScoreLine* line = round.CountedScore(account)) {
      score_q32 += line->phi_q32();
      const double error = Nats(static_cast<double>(line->stderr_q32()));
      squares += error * error;
    }
    const auto reward = round.rewards.find(account);
    if (reward != round.rewards.end()) teacher.reward_credits += reward->second;
  }
  teacher.score_nats = Nats(static_cast<double>(score_q32));
  teacher.stderr_nats = std::sqrt(squares);
  teacher.examples = state.FindCampaign(campaign.campaign)->enrolments.at(account).examples;
  const auto stake = history.stakes.find(account);
  if (stake != history.stakes.end()) teacher.stake_credits = stake->second;
  return teacher;
}

CampaignSummary SummariseCampaign(uint64_t id, const CampaignHistory& history,
                                  const ledger::State& state) {
  const CampaignState& now = *state.FindCampaign(id);
  CampaignSummary summary;
  summary.campaign = id;
  summary.name = now.open.terms().name();
  summary.owner = NameOf(state, now.owner);
  summary.phase = PhaseName(now.phase);
  summary.settled_rounds = now.settled_rounds;
  summary.loss.push_back(Nats(static_cast<double>(now.open.loss_q32())));
  summary.accuracy.push_back(static_cast<double>(now.open.correct()) /
                             static_cast<double>(now.open.validation_count()));
  summary.value_nats =
      Nats(static_cast<double>(now.open.loss_q32()) - static_cast<double>(now.loss_q32));
  summary.model_digest = base::Hex(now.model_digest);
  summary.budget_credits = now.open.terms().budget();
  summary.escrow_credits = state.Balance({v1::ESCROW, id, 0});
  for (const Round& round : history.rounds) {
    RoundSummary& added = summary.rounds.emplace_back(SummariseRound(round, now));
    added.included =
        static_cast<size_t>(std::count_if(added.teachers.begin(), added.teachers.end(),
                                          [](const TeacherRound& seat) { return seat.included; }));
    if (!added.settled) continue;
    summary.loss.push_back(added.loss);
    summary.accuracy.push_back(added.accuracy);
  }
  for (const auto& [account, enrolment] : now.enrolments) {
    summary.teachers.push_back(SummariseTeacher(summary, history, account, state));
  }
  return summary;
}

bool Fits(const TeacherSummary& teacher, const std::string& wanted) {
  return wanted.empty() || teacher.name == wanted || fmt::format("{}", teacher.account) == wanted;
}

// True if something is left.
bool Narrow(const SummaryFilter& filter, CampaignSummary* campaign) {
  std::erase_if(campaign->teachers,
                [&](const TeacherSummary& teacher) { return !Fits(teacher, filter.teacher); });
  std::erase_if(campaign->rounds, [&](const RoundSummary& round) {
    return filter.round && round.round != *filter.round;
  });
  for (RoundSummary& round : campaign->rounds) {
    std::erase_if(round.teachers, [&](const TeacherRound& seat) {
      return std::none_of(
          campaign->teachers.begin(), campaign->teachers.end(),
          [&](const TeacherSummary& teacher) { return teacher.account == seat.account; });
    });
  }
  return (filter.teacher.empty() || !campaign->teachers.empty()) &&
         (!filter.round || !campaign->rounds.empty());
}

// "a, b, c": the first dozen.
std::string Listed(const std::set<std::string>& items) {
  constexpr size_t kShown = 12;
  if (items.empty()) return "none";
  const auto end = std::next(items.begin(), static_cast<ptrdiff_t>(std::min(items.size(), kShown)));
  return fmt::format("{}{}", fmt::join(items.begin(), end, ", "),
                     items.size() > kShown ? ", …" : "");
}

// Which of the filters fits nothing, and what there is instead.
Status NothingFits(const Replay& replay, const SummaryFilter& filter) {
  std::set<std::string> campaigns;
  std::set<std::string> teachers;
  bool teacher_fits = filter.teacher.empty();
  size_t rounds = 0;
  for (const auto& [id, history] : replay.history.campaigns) {
    campaigns.insert(fmt::format("{}", id));
    if (filter.campaign && *filter.campaign != id) continue;
    rounds = std::max(rounds, history.rounds.size());
    for (const auto& teacher : SummariseCampaign(id, history, replay.state).teachers) {
      teachers.insert(fmt::format("{} ({})", teacher.name, teacher.account));
      teacher_fits = teacher_fits || Fits(teacher, filter.teacher);
    }
  }
  if (campaigns.empty()) return InvalidArgument("this log has no campaign yet");
  if (filter.campaign && replay.history.campaigns.count(*filter.campaign) == 0) {
    return InvalidArgument("this log has no campaign {}; campaigns are {}", *filter.campaign,
                           Listed(campaigns));
  }
  if (!teacher_fits) {
    return InvalidArgument("no teacher there is called or numbered {}; teachers are {}",
                           base::Quoted(filter.teacher), Listed(teachers));
  }
  if (filter.round && (*filter.round == 0 || *filter.round > rounds)) {
    return InvalidArgument("there is no round {}; the last one is {}", *filter.round, rounds);
  }
  return InvalidArgument("no campaign has both this teacher and this round");
}

}  // namespace

StatusOr<Summary> Summarise(const Replay& replay, const SummaryFilter& filter) {
  Summary summary;
  summary.asset = replay.state.genesis().asset();
  summary.entries = replay.verdict.entries;
  for (const auto& [id, history] : replay.history.campaigns) {
    if (filter.campaign && *filter.campaign != id) continue;
    CampaignSummary campaign = SummariseCampaign(id, history, replay.state);
    if (Narrow(filter, &campaign)) summary.campaigns.push_back(std::move(campaign));
  }
  const bool filtered = filter.campaign || filter.round || !filter.teacher.empty();
  if (filtered && summary.campaigns.empty()) return NothingFits(replay, filter);
  for (const auto& [account, known] : replay.state.accounts()) {
    summary.accounts.push_back(
        {account, NameOf(replay.state, account),
         account == 0 ? "operator" : ledger::LowerCase(v1::Role_Name(known.role)),
         replay.state.Balance({v1::AVAIL, 0, account})});
  }
  return summary;
}

}  // namespace crowdteach::audit
