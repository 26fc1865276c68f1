// A campaign's money, mishaps, terms and figures.
#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "ledger/audit/artifact_list.h"
#include "ledger/audit/report_html.h"
#include "ledger/audit/report_text.h"
#include "ledger/words.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::audit {
namespace {

constexpr size_t kMishaps = 100;  // rows of a table of them
constexpr uint64_t kNano = 1'000'000'000;

std::string Section(const CampaignPage& page, std::string_view name, std::string_view heading) {
  return fmt::format("<section aria-labelledby=\"c{0}-{1}\">\n<h3 id=\"c{0}-{1}\">{2}</h3>\n",
                     page.summary.campaign, name, heading);
}

enum class Side { kIn, kOut };
struct MoneyLine {
  std::string_view what;
  Side side;
  int64_t credits = 0;
  bool always = true;  // also when it is nothing
};

// In and out add up, or a posting was taken for something else.
std::string MoneyTable(std::string_view caption, const std::vector<MoneyLine>& lines) {
  int64_t in = 0, out = 0;
  std::string rows;
  for (const MoneyLine& line : lines) {
    const bool is_in = line.side == Side::kIn;
    (is_in ? in : out) += line.credits;
    if (line.credits == 0 && !line.always) continue;
    const std::string credits = Grouped(line.credits);
    rows += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
        line.what, is_in ? credits : "", is_in ? "" : credits);
  }
  CT_ASSERT(in == out);
  return fmt::format(
      "<table>\n<caption>{}</caption>\n<thead><tr><th scope=\"col\"></th><th scope=\"col\" "
      "class=\"n\">in</th><th scope=\"col\" class=\"n\">out</th></tr></thead>\n<tbody>\n{}<tr "
      "class=\"total\"><th scope=\"row\">together</th><td class=\"n\">{}</td><td "
      "class=\"n\">{}</td></tr>\n</tbody>\n</table>\n",
      caption, rows, Grouped(in), Grouped(out));
}

std::string More(size_t all) {
  if (all <= kMishaps) return "";
  return fmt::format("<p class=\"soft small\">… {} more: crowdteach-audit show --format csv</p>\n",
                     Grouped(static_cast<int64_t>(all - kMishaps)));
}

std::string RejectionsTable(const CampaignPage& page) {
  std::string rows;
  size_t count = 0;
  for (const Round& round : page.history.rounds) {
    for (const Rejection& rejection : round.rejections) {
      if (++count > kMishaps) continue;
      rows += fmt::format(
          "<tr><td class=\"n\">{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n",
          round.number, TeacherName(page, rejection.body.account()),
          ledger::WhyRejected(rejection.body.reason()), rejection.entry);
    }
  }
  if (count == 0) return "<p>No update was rejected.</p>\n";
  return Scrolling("rejected updates",
                   fmt::format("<table>\n<caption>Rejected updates: {}</caption>\n<thead><tr><th "
                               "scope=\"col\" class=\"n\">round</th><th scope=\"col\">teacher</th>"
                               "<th scope=\"col\">why</th><th scope=\"col\" class=\"n\">entry</th>"
                               "</tr></thead>\n<tbody>\n{}</tbody>\n</table>",
                               Grouped(static_cast<int64_t>(count)), rows)) +
         More(count);
}

std::string AbortsTable(const CampaignPage& page) {
  std::string rows;
  size_t count = 0;
  for (const Round& round : page.history.rounds) {
    if (round.outcome != RoundOutcome::kAborted || ++count > kMishaps) continue;
    rows += fmt::format("<tr><td class=\"n\">{}</td><td>{}</td></tr>\n", round.number,
                        ledger::InWords(round.aborted));
  }
  if (count == 0) return "<p>No round was aborted.</p>\n";
  return fmt::format(
             "<table class=\"fit\">\n<caption>Aborted rounds: {}</caption>\n<thead><tr><th "
             "scope=\"col\" "
             "class=\"n\">round</th><th scope=\"col\">why</th></tr></thead>\n<tbody>\n{}</tbody>\n"
             "</table>\n",
             Grouped(static_cast<int64_t>(count)), rows) +
         More(count);
}

int64_t StakeLost(const CampaignPage& page, const TeacherSummary& teacher) {
  const auto locked = page.history.staked.find(teacher.account);
  return locked == page.history.staked.end() ? 0 : locked->second - teacher.stake_credits;
}

std::string StakesLost(const CampaignPage& page) {
  std::string names;
  int64_t sum = 0;
  size_t count = 0;
  for (const TeacherSummary& teacher : page.summary.teachers) {
    const int64_t lost = StakeLost(page, teacher);
    if (lost == 0) continue;
    sum += lost;
    if (++count > 12) continue;
    names += fmt::format("{}{} {}", names.empty() ? "" : ", ", TeacherName(page, teacher.account),
                         Grouped(lost));
  }
  if (count == 0) return "<p>No stake was lost.</p>\n";
  return fmt::format("<p>Of the stakes {} {} were lost, by {}{}.</p>\n", Grouped(sum), page.asset,
                     names, count > 12 ? ", \u2026" : "");
}

// "0.05" of 50,000,000
std::string Nano(uint64_t value) {
  std::string text = fmt::format("{}.{:09}", value / kNano, value % kNano);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string Training(const v1::LocalTerms& local) {
  std::string text = fmt::format("{}, rate {}", local.optimizer() == v1::ADAM ? "Adam" : "SGD",
                                 Nano(local.learning_rate_nano()));
  if (local.momentum_nano() > 0) text += ", momentum " + Nano(local.momentum_nano());
  if (local.weight_decay_nano() > 0) text += ", decay " + Nano(local.weight_decay_nano());
  if (local.fedprox_mu_nano() > 0) text += ", FedProx " + Nano(local.fedprox_mu_nano());
  text += fmt::format(", batches of {}, ", local.batch_size());
  return text + (local.epochs() > 0 ? Count(local.epochs(), "epoch", "epochs")
                                    : Count(local.steps(), "step", "steps"));
}

std::string Term(std::string_view name, const std::string& value) {
  return fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
}

std::string RoundsTable(const CampaignPage& page) {
  std::string rows;
  for (size_t i = 0; i < page.summary.rounds.size(); ++i) {
    const RoundSummary& round = page.summary.rounds[i];
    int64_t paid = 0, charged = 0;
    for (const auto& [account, credits] : page.history.rounds[i].rewards) {
      (credits > 0 ? paid : charged) += credits;
    }
    const size_t rejected = page.history.rounds[i].rejections.size();
    const size_t absent =
        round.settled ? round.teachers.size() - round.included - rejected : size_t{0};
    const auto figure = [&](const std::string& text) { return round.settled ? text : ""; };
    rows += fmt::format(
        "<tr><th scope=\"row\" class=\"n\">{}</th><td>{}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{}</td></tr>\n",
        round.round, round.settled || round.outcome == "open" ? round.outcome : "aborted",
        figure(Fixed(round.loss, 4)), figure(Percent(round.accuracy)),
        figure(SignedFixed(round.value_nats, 4)), round.included, rejected, absent, Grouped(paid),
        Grouped(charged));
  }
  return fmt::format(
      "<table id=\"c{}-rounds\">\n<caption>Rounds: loss and fall of the loss in nats, paid and "
      "charged in {}</caption>\n<thead><tr><th scope=\"col\" class=\"n\">round</th><th "
      "scope=\"col\">outcome</th><th scope=\"col\" class=\"n\">loss</th><th scope=\"col\" "
      "class=\"n\">accuracy</th><th scope=\"col\" class=\"n\">fall</th><th scope=\"col\" "
      "class=\"n\">included</th><th scope=\"col\" class=\"n\">rejected</th><th scope=\"col\" "
      "class=\"n\">absent</th><th scope=\"col\" class=\"n\">paid</th><th scope=\"col\" "
      "class=\"n\">charged</th></tr></thead>\n<tbody>\n{}</tbody>\n</table>",
      page.summary.campaign, page.asset, rows);
}

std::string TeachersTable(const CampaignPage& page) {
  std::map<uint64_t, std::pair<size_t, size_t>> seats;  // included, rejected
  for (const RoundSummary& round : page.summary.rounds) {
    for (const TeacherRound& seat : round.teachers) {
      seats[seat.account].first += seat.included ? 1 : 0;
      seats[seat.account].second += seat.rejected.empty() ? 0 : 1;
    }
  }
  std::string rows;
  for (const TeacherSummary& teacher : page.summary.teachers) {
    const auto [included, rejected] = seats[teacher.account];
    rows += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
        "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
        TeacherName(page, teacher.account), teacher.account,
        Grouped(static_cast<int64_t>(teacher.examples)), included, rejected,
        SignedFixed(teacher.score_nats, 6), Fixed(teacher.stderr_nats, 6),
        Signed(teacher.reward_credits), Grouped(teacher.stake_credits + StakeLost(page, teacher)),
        Grouped(StakeLost(page, teacher)));
  }
  return fmt::format(
      "<table id=\"c{}-teachers\">\n<caption>Teachers: score and error in nats, reward and stake "
      "in "
      "{}; examples as claimed</caption>\n<thead><tr><th scope=\"col\">teacher</th><th "
      "scope=\"col\" class=\"n\">account</th><th scope=\"col\" class=\"n\">examples</th><th "
      "scope=\"col\" class=\"n\">included</th><th scope=\"col\" class=\"n\">rejected</th><th "
      "scope=\"col\" class=\"n\">score</th><th scope=\"col\" class=\"n\">error</th><th "
      "scope=\"col\" class=\"n\">reward</th><th scope=\"col\" class=\"n\">stake</th><th "
      "scope=\"col\" class=\"n\">lost</th></tr></thead>\n<tbody>\n{}</tbody>\n</table>",
      page.summary.campaign, page.asset, rows);
}

}  // namespace

std::string MoneySection(const CampaignPage& page) {
  const Money& money = page.history.money;
  int64_t kept = 0;  // held and at stake
  for (const auto& [key, balance] : page.ledger.balances()) {
    const bool own = key.kind == v1::HELD || key.kind == v1::STAKE;
    if (own && key.campaign == page.summary.campaign) kept += balance;
  }
  return Section(page, "money", "Where the money went") +
         fmt::format("<p class=\"soft small\">All in {}, from the postings of the ledger.</p>\n",
                     page.asset) +
         "<div class=\"figures\">\n" +
         MoneyTable("The campaign's escrow",
                    {{"budget, from the owner", Side::kIn, money.budget},
                     {"charged to teachers", Side::kIn, money.charged},
                     {"paid to teachers", Side::kOut, money.paid},
                     {"shared at the default close", Side::kOut, money.shared, false},
                     {"refunded to the owner", Side::kOut, money.refunded},
                     {"surplus, to the treasury", Side::kOut, money.surplus},
                     {"still in escrow", Side::kOut, page.summary.escrow_credits, false}}) +
         MoneyTable("The teachers' stakes and earnings",
                    {{"stakes", Side::kIn, money.staked},
                     {"paid, from the escrow", Side::kIn, money.paid},
                     {"charged, to the escrow", Side::kOut, money.charged},
                     {"lost as uncovered, to the treasury", Side::kOut, money.lost, false},
                     {"released to teachers and lenders", Side::kOut, money.returned},
                     {"still held or at stake", Side::kOut, kept, false}}) +
         "</div>\n</section>\n";
}

std::string MishapsSection(const CampaignPage& page) {
  return Section(page, "mishaps", "What was rejected, aborted and lost") + RejectionsTable(page) +
         AbortsTable(page) + StakesLost(page) + "</section>\n";
}

std::string TermsSection(const CampaignPage& page) {
  const v1::CampaignOpen& open = page.state.open;
  const v1::Terms& terms = open.terms();
  const std::string scale = Fixed(static_cast<double>(terms.norm_cap()) /
                                      static_cast<double>(uint64_t{1} << terms.scale_bits()),
                                  4);
  const auto credits = [](uint64_t value) { return Grouped(static_cast<int64_t>(value)); };
  std::string html = Section(page, "terms", "The terms in brief") + "<dl>\n";
  html += Term("Rounds", fmt::format("{} of at most {} teachers, at least {}",
                                     credits(terms.rounds()), terms.teachers(), terms.quorum()));
  html += Term("Budget", fmt::format("{} {}; {} for a nat", credits(terms.budget()), page.asset,
                                     credits(terms.credits_per_nat())));
  html +=
      Term("Stake", fmt::format("{} {}; at least {} covered to be selected", credits(terms.stake()),
                                page.asset, credits(terms.min_cover())));
  html += Term("Inputs", fmt::format("{}; {}", fmt::join(terms.data().input_shape(), " × "),
                                     Count(static_cast<uint64_t>(terms.data().classes_size()),
                                           "class", "classes")));
  html += Term("Local training", Training(terms.local()));
  html += Term("Updates", fmt::format("L2 norm at most {}, {} above; weighed {}", scale,
                                      terms.norm_rule() == v1::REJECT ? "rejected" : "clipped",
                                      terms.weighting() == v1::EQUAL ? "equally" : "by examples"));
  html += Term("Who may read updates", std::string(ledger::InWords(terms.update_readers())));
  html += Term("… the validation set and gradients, once closed",
               std::string(ledger::InWords(terms.validation_readers())));
  html += Term("Phases", fmt::format("commit {}, upload {}, dispute {}, close within {}",
                                     Seconds(terms.commit_ms()), Seconds(terms.upload_ms()),
                                     Seconds(terms.dispute_ms()), Seconds(terms.close_ms())));
  html += Term("Updates are kept", Seconds(terms.retention_ms()) + " after the close");
  html += Term("Model", fmt::format("{} trained parameters, {} bytes", credits(open.parameters()),
                                    credits(open.model_size_bytes())));
  html += Term("Validation set", Count(open.validation_count(), "example", "examples") +
                                     ", committed before the first round");
  return html + "</dl>\n<p class=\"soft small\">First model <span class=\"hash\">" +
         base::Hex(open.model_digest()) + "</span>, last settled <span class=\"hash\">" +
         page.summary.model_digest + "</span>.</p>\n</section>\n";
}

std::string FiguresSection(const CampaignPage& page) {
  return Section(page, "figures", "All figures") + Scrolling("rounds", RoundsTable(page)) +
         Scrolling("teachers", TeachersTable(page)) +
         "<p class=\"soft small\">Every score of every round: crowdteach-audit show --format "
         "csv.</p>\n</section>\n";
}

}  // namespace crowdteach::audit
