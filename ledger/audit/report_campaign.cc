// A campaign's results: what was learnt, by whom, and what it earned.
#include <algorithm>
#include <map>
#include <vector>

#include "ledger/audit/report_chart.h"
#include "ledger/audit/report_html.h"
#include "ledger/audit/report_text.h"

namespace crowdteach::audit {
namespace {

// More than these are legible no longer; the figures at the end have all.
constexpr size_t kAllTeachers = 40;
constexpr size_t kFirstTeachers = 28;
constexpr size_t kLastTeachers = 8;
constexpr size_t kSparks = 12;

uint32_t LastRound(const CampaignPage& page) {
  return page.summary.rounds.empty() ? 0 : page.summary.rounds.back().round;
}

std::string Lede(const CampaignPage& page) {
  const CampaignSummary& summary = page.summary;
  const auto aborted = static_cast<uint64_t>(
      std::count_if(page.history.rounds.begin(), page.history.rounds.end(),
                    [](const Round& round) { return round.outcome == RoundOutcome::kAborted; }));
  std::string text = fmt::format(
      "<p>The owner is <bdi>{}</bdi>; the campaign is {}. {} of {} settled{}, {} enrolled. ",
      Escaped(summary.owner), summary.phase, Grouped(summary.settled_rounds),
      Count(page.state.open.terms().rounds(), "round", "rounds"),
      aborted == 0 ? "" : fmt::format(", {} aborted", Grouped(static_cast<int64_t>(aborted))),
      Count(summary.teachers.size(), "teacher", "teachers"));
  if (summary.settled_rounds == 0) return text + "Nothing has been learnt yet.</p>\n";
  return text + fmt::format(
                    "The validation loss went from {} to {} nats, the accuracy from {} to "
                    "{}.</p>\n",
                    Fixed(summary.loss.front(), 4), Fixed(summary.loss.back(), 4),
                    Percent(summary.accuracy.front()), Percent(summary.accuracy.back()));
}

std::string Words(const LineChart& chart, std::string_view what) {
  const auto value = [&](const LinePoint& point) {
    return Fixed(point.value * chart.scale, chart.decimals) + chart.unit;
  };
  const auto by_value = [](const LinePoint& a, const LinePoint& b) { return a.value < b.value; };
  const auto [low, high] = std::minmax_element(chart.points.begin(), chart.points.end(), by_value);
  const auto when = [](const LinePoint& point) {
    return point.round == 0 ? std::string("before round 1")
                            : fmt::format("after round {}", point.round);
  };
  return fmt::format(
      "{} before round 1: {}; {}: {}. Lowest {} {}, highest {} {}.{} All values are in the table "
      "of "
      "rounds.",
      what, value(chart.points.front()), when(chart.points.back()), value(chart.points.back()),
      value(*low), when(*low), value(*high), when(*high),
      chart.aborted.empty()
          ? ""
          : fmt::format(" {} aborted.", Count(chart.aborted.size(), "round was", "rounds were")));
}

std::string LearningSection(const CampaignPage& page) {
  LineChart loss, accuracy;
  loss.points.push_back({0, page.summary.loss.front()});
  accuracy.points.push_back({0, page.summary.accuracy.front()});
  for (const RoundSummary& round : page.summary.rounds) {
    if (round.settled) {
      loss.points.push_back({round.round, round.loss});
      accuracy.points.push_back({round.round, round.accuracy});
    } else if (round.outcome != "open") {
      loss.aborted.push_back(round.round);
    }
  }
  accuracy.aborted = loss.aborted;
  loss.last_round = accuracy.last_round = LastRound(page);
  loss.id = fmt::format("c{}-loss", page.summary.campaign);
  loss.title = "Validation loss by round, in nats";
  loss.summary = Words(loss, "Loss");
  accuracy.id = fmt::format("c{}-accuracy", page.summary.campaign);
  accuracy.title = "Validation accuracy by round, in percent";
  accuracy.scale = 100;
  accuracy.decimals = 1;
  accuracy.unit = "\u00a0%";
  accuracy.summary = Words(accuracy, "Accuracy");
  std::string html = fmt::format(
      "<section aria-labelledby=\"c{0}-learning\">\n<h3 id=\"c{0}-learning\">What was learnt</h3>\n"
      "<div class=\"figures\">\n",
      page.summary.campaign);
  html += "<figure><figcaption>Validation loss (nats)</figcaption>\n" + LineChartSvg(loss) +
          "</figure>\n<figure><figcaption>Validation accuracy (%)</figcaption>\n" +
          LineChartSvg(accuracy) +
          "</figure>\n</div>\n<p class=\"soft small\">Measured by the "
          "coordinator on the committed validation set";
  if (!loss.aborted.empty()) html += "; a cross on the axis is an aborted round";
  return html + ".</p>\n</section>\n";
}

std::vector<const TeacherSummary*> ByScore(const CampaignPage& page) {
  std::vector<const TeacherSummary*> teachers;
  for (const TeacherSummary& teacher : page.summary.teachers) teachers.push_back(&teacher);
  std::sort(teachers.begin(), teachers.end(), [](const auto* a, const auto* b) {
    return a->score_nats != b->score_nats ? a->score_nats > b->score_nats : a->account < b->account;
  });
  return teachers;
}

std::string ScoreRow(const CampaignPage& page, const TeacherSummary& teacher, const Axis& axis) {
  return fmt::format(
      "<tr><th scope=\"row\" class=\"name\">{}</th><td class=\"plot\">{}</td><td class=\"n{}\">{}"
      "</td><td class=\"n soft\">\u00b1\u00a0{}</td></tr>\n",
      TeacherName(page, teacher.account),
      IntervalSvg(teacher.score_nats, teacher.stderr_nats, axis),
      teacher.score_nats < 0 ? " loses" : "", SignedFixed(teacher.score_nats, 4),
      Fixed(teacher.stderr_nats, 4));
}

std::string ContributionSection(const CampaignPage& page) {
  const std::vector<const TeacherSummary*> teachers = ByScore(page);
  std::string html = fmt::format(
      "<section aria-labelledby=\"c{0}-contribution\">\n<h3 id=\"c{0}-contribution\">What each "
      "teacher contributed</h3>\n",
      page.summary.campaign);
  if (teachers.empty()) return html + "<p>Nobody has enrolled.</p>\n</section>\n";
  double low = 0, high = 0;
  for (const TeacherSummary* teacher : teachers) {
    low = std::min(low, teacher->score_nats - teacher->stderr_nats);
    high = std::max(high, teacher->score_nats + teacher->stderr_nats);
  }
  const Axis axis = MakeAxis(low, high, 5);
  html += fmt::format(
      "<p class=\"soft small\">A score is the part of the fall of the loss that is the teacher's, "
      "in "
      "nats, summed over the rounds that count; the line beside it is one standard error to each "
      "side (root of the summed squares). Those below zero raised the loss and were "
      "charged.</p>\n<table class=\"scores\">\n<caption>Scores with intervals, highest "
      "first</caption>\n<thead><tr><th scope=\"col\" class=\"name\">teacher</th><th scope=\"col\" "
      "class=\"plot\"><span aria-hidden=\"true\">{}</span></th><th scope=\"col\" "
      "class=\"n\">score</th><th scope=\"col\" class=\"n\">error</th></tr></thead>\n<tbody>\n",
      IntervalAxisSvg(axis));
  const bool all = teachers.size() <= kAllTeachers;
  for (size_t i = 0; i < teachers.size(); ++i) {
    const bool shown = all || i < kFirstTeachers || i + kLastTeachers >= teachers.size();
    if (shown) html += ScoreRow(page, *teachers[i], axis);
    if (!all && i == kFirstTeachers) {
      html += fmt::format(
          "<tr><td class=\"gap\" colspan=\"4\">\u2026 {} in between: <a "
          "href=\"#c{}-teachers\">table of teachers</a></td></tr>\n",
          Count(teachers.size() - kFirstTeachers - kLastTeachers, "teacher", "teachers"),
          page.summary.campaign);
    }
  }
  return html + "</tbody>\n</table>\n</section>\n";
}

// Running sums of what a teacher was paid and charged.
std::map<uint64_t, std::vector<LinePoint>> RunningRewards(const CampaignPage& page) {
  std::map<uint64_t, std::vector<LinePoint>> sums;
  for (const Round& round : page.history.rounds) {
    for (const auto& [account, credits] : round.rewards) {
      std::vector<LinePoint>& points = sums[account];
      const double before = points.empty() ? 0 : points.back().value;
      points.push_back({round.number, before + static_cast<double>(credits)});
    }
  }
  return sums;
}

std::string RewardsSection(const CampaignPage& page) {
  const auto sums = RunningRewards(page);
  std::vector<const TeacherSummary*> teachers;
  for (const TeacherSummary& teacher : page.summary.teachers) teachers.push_back(&teacher);
  std::stable_sort(teachers.begin(), teachers.end(), [](const auto* a, const auto* b) {
    return std::abs(a->reward_credits) > std::abs(b->reward_credits);
  });
  const size_t left = teachers.size() - std::min(teachers.size(), kSparks);
  teachers.resize(teachers.size() - left);
  std::stable_sort(teachers.begin(), teachers.end(), [](const auto* a, const auto* b) {
    return a->reward_credits > b->reward_credits;
  });
  double low = 0, high = 0;
  for (const TeacherSummary* teacher : teachers) {
    const auto found = sums.find(teacher->account);
    if (found == sums.end()) continue;
    for (const LinePoint& point : found->second) {
      low = std::min(low, point.value);
      high = std::max(high, point.value);
    }
  }
  if (low == high) return "";
  const Axis axis{low, high - low, 2, 0};
  std::string html = fmt::format(
      "<section aria-labelledby=\"c{0}-rewards\">\n<h3 id=\"c{0}-rewards\">Rewards as they "
      "added up</h3>\n<p class=\"soft small\">What each teacher was paid less what it was charged, "
      "in {1}, from the first round to round {2}; all on one scale, from {3} to {4}.{5}</p>\n"
      "<div class=\"sparks\">\n",
      page.summary.campaign, page.asset, LastRound(page), Grouped(static_cast<int64_t>(low)),
      Grouped(static_cast<int64_t>(high)),
      left == 0 ? ""
                : fmt::format(" The {} largest; {} in the <a href=\"#c{}-teachers\">table of "
                              "teachers</a>.",
                              kSparks, Count(left, "more is", "more are"), page.summary.campaign));
  for (const TeacherSummary* teacher : teachers) {
    const auto found = sums.find(teacher->account);
    Spark spark{{}, LastRound(page), axis};
    if (found != sums.end()) spark.points = found->second;
    html +=
        fmt::format("<figure><figcaption>{}<span class=\"{}\">{}</span></figcaption>{}</figure>\n",
                    TeacherName(page, teacher->account), teacher->reward_credits < 0 ? "loses" : "",
                    Signed(teacher->reward_credits), SparkSvg(spark));
  }
  return html + "</div>\n</section>\n";
}

}  // namespace

std::string TeacherName(const CampaignPage& page, uint64_t account) {
  const ledger::Account* found = page.ledger.FindAccount(account);
  return fmt::format("<bdi title=\"account {}\">{}</bdi>", account,
                     found == nullptr ? "" : Escaped(found->name));
}

std::string CampaignArticle(const CampaignPage& page) {
  return fmt::format(
             "<article aria-labelledby=\"c{0}\">\n<h2 id=\"c{0}\">Campaign {0}: "
             "<bdi>{1}</bdi></h2>\n",
             page.summary.campaign, Escaped(page.summary.name)) +
         Lede(page) + LearningSection(page) + ContributionSection(page) + RewardsSection(page) +
         MoneySection(page) + MishapsSection(page) + TermsSection(page) + FiguresSection(page) +
         "</article>\n";
}

}  // namespace crowdteach::audit
