// The page around the campaigns: verdict, what was checked and what was not, how to check it.
#include "ledger/audit/report_html.h"

#include <algorithm>

#include "ledger/audit/report_style.h"
#include "ledger/audit/report_text.h"
#include "proto/base/bytes.h"
#include "proto/base/utc_time.h"

namespace crowdteach::audit {
namespace {

constexpr size_t kEntriesShown = 12;

std::string Title(const Summary& summary) {
  if (summary.campaigns.size() != 1) return "Audit of a crowdteach ledger";
  return fmt::format("Audit of <bdi>{}</bdi>", Escaped(summary.campaigns.front().name));
}

std::string Head(const std::string& plain_title) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>{}</title>\n"
      "<style>{}</style>\n</head>\n<body>\n",
      plain_title, ReportStyle());
}

std::string Verdict(const Report& report) {
  const uint64_t entries = report.replay.verdict.entries;
  if (report.incomplete()) {
    return fmt::format(
        "<div class=\"verdict partly\"><strong>Verified in part</strong><p>All {} entries and what "
        "else could be checked verify. Something that was asked for is missing: see <a "
        "href=\"#unchecked\">not checked</a>.</p></div>\n",
        Grouped(static_cast<int64_t>(entries)));
  }
  return fmt::format(
      "<div class=\"verdict\"><strong>Verified</strong><p>{} entries: every signature, rule, "
      "posting "
      "and score{}. What rests on somebody's word is listed as <a href=\"#unchecked\">not "
      "checked</a>.</p></div>\n",
      Grouped(static_cast<int64_t>(entries)),
      report.with_artifacts ? ", and the models bit for bit from the updates" : "");
}

std::string CheckedTable(const Report& report) {
  std::string rows = "<tr><td>checkpoint: signature, size, root</td><td class=\"n\">1</td></tr>\n";
  for (const CheckedLine& line : CheckedLines(report)) {
    rows += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td></tr>\n", Escaped(line.what),
                        line.count == 0 ? "none" : Grouped(static_cast<int64_t>(line.count)));
  }
  return Scrolling(
      "what was checked",
      fmt::format("<table>\n<caption>Checked, and found in order</caption>\n<thead><tr><th "
                  "scope=\"col\">what</th><th scope=\"col\" class=\"n\">how many</th>"
                  "</tr></thead>\n<tbody>\n{}</tbody>\n</table>",
                  rows));
}

std::string UncheckedList(const Report& report) {
  std::string items;
  for (const Unchecked& item : report.artifacts.unchecked) {
    const size_t shown = std::min(item.entries.size(), kEntriesShown);
    std::string entries;
    if (shown > 0) {
      entries = fmt::format(" <span class=\"soft\">({}: {}{})</span>",
                            Count(item.entries.size(), "entry", "entries"),
                            fmt::join(item.entries.begin(),
                                      item.entries.begin() + static_cast<ptrdiff_t>(shown), ", "),
                            shown < item.entries.size() ? ", \u2026" : "");
    }
    items += fmt::format("<li>{}{}: {}{}</li>\n", item.missing ? "<strong>Missing:</strong> " : "",
                         Escaped(item.what), Escaped(item.why), entries);
  }
  if (items.empty()) return "";
  return "<h3 id=\"unchecked\">What was not</h3>\n<ul class=\"small\">\n" + items + "</ul>\n";
}

std::string Contents(const Summary& summary) {
  if (summary.campaigns.size() < 2) return "";
  std::string items;
  for (const CampaignSummary& campaign : summary.campaigns) {
    items += fmt::format("<li><a href=\"#c{0}\">{0}: <bdi>{1}</bdi></a></li>\n", campaign.campaign,
                         Escaped(campaign.name));
  }
  return "<nav aria-label=\"Campaigns\">\n<ul>\n" + items +
         "<li><a href=\"#check\">How to check it</a></li>\n</ul>\n</nav>\n";
}

std::string HowToCheck(const Report& report, const std::string& vkey) {
  const ledger::Checkpoint& checkpoint = report.replay.verdict.checkpoint;
  const uint32_t rules = report.replay.state.genesis().rules_version();
  return fmt::format(
      "<section aria-labelledby=\"check\">\n<h2 id=\"check\">How to check it yourself</h2>\n"
      "<p>This page proves nothing; the ledger does. Take the log's key from somewhere you trust, "
      "such as your own invite, not from here, and compare. Then, with the coordinator's HTTPS "
      "port for HOST:PORT, or with a copy of the bundle:</p>\n<pre><code>crowdteach-audit fetch "
      "HOST:PORT -o log.bundle --key '{0}'\ncrowdteach-audit verify log.bundle --key "
      "'{0}'\ncrowdteach-audit report log.bundle --key '{0}' -o report.html</code></pre>\n<p>A "
      "ledger that shows this checkpoint is the one reported here; a later one must begin with "
      "it. Whoever holds another checkpoint of this size and key holds evidence of a fork.</p>\n"
      "<dl>\n<div><dt>Log (origin)</dt><dd class=\"hash\">{1}</dd></div>\n<div><dt>Size</dt><dd>{2}"
      "</dd></div>\n<div><dt>Root</dt><dd class=\"hash\">{3}</dd></div>\n<div><dt>Key</dt><dd "
      "class=\"hash\">{0}</dd></div>\n<div><dt>Rules</dt><dd>version {4}{5}</dd></div>\n</dl>\n"
      "</section>\n",
      Escaped(vkey), Escaped(checkpoint.origin), Count(checkpoint.size, "entry", "entries"),
      base::Hex(checkpoint.root), rules,
      rules == 0 ? ": not final, a later auditor may refuse this log" : "");
}

}  // namespace

std::string Scrolling(const std::string& label, const std::string& table) {
  return fmt::format(
      "<div class=\"scroll\" role=\"region\" aria-label=\"{}\" tabindex=\"0\">\n{}\n</div>\n",
      label, table);
}

std::string ReportHtml(const Report& report, const Summary& summary, const std::string& vkey) {
  const Replay& replay = report.replay;
  const std::string plain_title = summary.campaigns.size() == 1
                                      ? "Audit of " + Escaped(summary.campaigns.front().name)
                                      : "Audit of a crowdteach ledger";
  std::string html = Head(plain_title);
  html += fmt::format(
      "<header>\n<p class=\"over\">crowdteach audit report</p>\n<h1>{}</h1>\n<p "
      "class=\"soft\">Ledger <span class=\"hash\">{}</span> up to entry {}, {}</p>\n</header>\n",
      Title(summary), Escaped(replay.verdict.checkpoint.origin),
      Grouped(static_cast<int64_t>(replay.verdict.entries) - 1),
      base::UtcTime(replay.state.last_time_ms()));
  html += Contents(summary);
  html += "<main>\n" + Verdict(report) +
          "<section aria-labelledby=\"checked\">\n<h2 id=\"checked\">What was checked</h2>\n" +
          CheckedTable(report) + UncheckedList(report) + "</section>\n";
  if (summary.campaigns.empty()) html += "<p>This ledger has no campaign yet.</p>\n";
  for (const CampaignSummary& campaign : summary.campaigns) {
    html += CampaignArticle({campaign, replay.history.campaigns.at(campaign.campaign),
                             *replay.state.FindCampaign(campaign.campaign), replay.state,
                             Escaped(summary.asset)});
  }
  html += HowToCheck(report, vkey);
  return html +
         "</main>\n<footer>Made by crowdteach-audit from the evidence alone.</footer>\n"
         "</body>\n</html>\n";
}

}  // namespace crowdteach::audit
