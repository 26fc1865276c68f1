// A verified log as one HTML page for people: self-contained (no script, no file or address of any
// other place; a policy in the page forbids them), the same bytes for the same evidence.
//
// report_html.cc is the page with the verdict and how to check it, report_campaign.cc a campaign's
// results, report_tables.cc its money, mishaps, terms and figures. Pure: of values that were
// verified.
#pragma once

#include <string>

#include "ledger/audit/summary.h"
#include "ledger/audit/verify.h"

namespace crowdteach::audit {

// `report` is without fault; `summary` is of its replay, narrowed to the campaigns wanted. `vkey`:
// the pinned key.
std::string ReportHtml(const Report& report, const Summary& summary, const std::string& vkey);

// One campaign of the page.
struct CampaignPage {
  const CampaignSummary& summary;
  const CampaignHistory& history;
  const ledger::CampaignState& state;
  const ledger::State& ledger;
  std::string asset;  // escaped: what credits are called
};

std::string CampaignArticle(const CampaignPage& page);  // report_campaign.cc

// report_tables.cc: each a section with its heading, or its table.
std::string MoneySection(const CampaignPage& page);
std::string MishapsSection(const CampaignPage& page);
std::string TermsSection(const CampaignPage& page);
std::string FiguresSection(const CampaignPage& page);

// "ada", escaped, in a box that keeps its direction to itself.
std::string TeacherName(const CampaignPage& page, uint64_t account);
// A table that scrolls by itself where it is wider than the page; `label` names it.
std::string Scrolling(const std::string& label, const std::string& table);

}  // namespace crowdteach::audit
