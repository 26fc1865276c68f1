// Reports: what is escaped, what adds up, what is the same bytes. How they look and sound is
// tests/integration/report_browser_test.py's.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>

#include "ledger/audit/report_chart.h"
#include "ledger/audit/report_text.h"
#include "tests/support/catch.h"
#include "tests/unit/audit/report_world.h"

namespace crowdteach::audit {
namespace {

size_t Occurrences(const std::string& text, const std::string& of) {
  size_t count = 0;
  for (size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + 1)) ++count;
  return count;
}

// The first tag that does not fit the one before it, or an attribute without quotes; empty: none.
std::string Unbalanced(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at)) {
    const size_t end = html.find('>', at);
    if (end == std::string::npos) return html.substr(at, 80);
    const std::string tag = html.substr(at, end - at + 1);
    at = end;
    if (tag.starts_with("<!")) continue;
    if (Occurrences(tag, "\"") % 2 != 0) return tag;
    const std::string name = tag.substr(1, tag.find_first_of(" >", 1) - 1);
    if (name == "meta" || tag.ends_with("/>")) continue;
    if (name[0] != '/') {
      open.push_back(name);
    } else if (open.empty() || open.back() != name.substr(1)) {
      return tag;
    } else {
      open.pop_back();
    }
    if (name == "style") at = html.find("</style>", at) - 1;
  }
  return open.empty() ? "" : "<" + open.back() + ">";
}

TEST_CASE("text is escaped, and what turns or hides it is shown") {
  CHECK(Escaped("<a href=\"x\">'&amp;") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;");
  CHECK(Escaped("Zoë, 数据, 🙂") == "Zoë, 数据, 🙂");
  CHECK(Escaped("a\u202eb\u2066c\u200dd\ufeff") == "a⟨U+202E⟩b⟨U+2066⟩c⟨U+200D⟩d⟨U+FEFF⟩");
  CHECK(Escaped(std::string_view("\0\n\x1b[0m\x7f", 7)) == "⟨U+0000⟩⟨U+000A⟩⟨U+001B⟩[0m⟨U+007F⟩");
  CHECK(Escaped("\xff|\xc3(|\xe2\x82|\xed\xa0\x80|\xc0\xaf|\xf5\x80\x80\x80") ==
        "⟨FF⟩|⟨C3⟩(|⟨E2⟩⟨82⟩|⟨ED⟩⟨A0⟩⟨80⟩|⟨C0⟩⟨AF⟩|⟨F5⟩⟨80⟩⟨80⟩⟨80⟩");
  CHECK(Shortened("<<<<", 4) == "&lt;&lt;&lt;&lt;");
  CHECK(Shortened("<<<<<", 4) == "&lt;&lt;&lt;…");
}

TEST_CASE("numbers read the same everywhere") {
  CHECK(Grouped(0) == "0");
  CHECK(Grouped(999) == "999");
  CHECK(Grouped(-1234567) == "−1,234,567");
  CHECK(Grouped(std::numeric_limits<int64_t>::min()) == "−9,223,372,036,854,775,808");
  CHECK(Signed(0) == "0");
  CHECK(Signed(1000) == "+1,000");
  CHECK(Fixed(-0.00001, 4) == "0.0000");
  CHECK(Fixed(-0.5, 1) == "−0.5");
  CHECK(SignedFixed(0.25, 2) == "+0.25");
  CHECK(SignedFixed(0.001, 2) == "0.00");
  CHECK(Fixed(std::numeric_limits<double>::quiet_NaN(), 2) == "–");
  CHECK(Percent(0.7395) == "74.0\u00a0%");
  CHECK(Seconds(90'000) == "90 s");
  CHECK(Seconds(7 * 86'400'000) == "7 days");
  CHECK(Count(1, "round", "rounds") == "1 round");
}

TEST_CASE("an axis covers its values with few marks") {
  std::mt19937_64 random(11);
  for (int i = 0; i < 2000; ++i) {
    const double size = std::pow(10.0, static_cast<double>(random() % 18) - 9);
    const double low = (static_cast<double>(random() % 2000) - 1000) / 1000 * size;
    const double high = low + static_cast<double>(random() % 1000) / 1000 * size;
    const int most = 3 + static_cast<int>(random() % 6);
    const Axis axis = MakeAxis(low, high, most);
    INFO(low << " to " << high << ": " << axis.low << " + " << axis.step << "·" << axis.marks);
    CHECK(axis.marks >= 2);
    CHECK(axis.marks <= most);
    CHECK(axis.low <= low + size * 1e-6);
    CHECK(axis.high() >= high - size * 1e-6);
    CHECK(axis.Place(axis.low) == 0);
  }
  CHECK(MakeAxis(0, 2.3, 6).Label(1) == "0.5");
  CHECK(MakeAxis(5, 5, 5).marks >= 2);
  CHECK(MakeAxis(0, 0, 5).marks >= 2);
  CHECK(MakeAxis(std::numeric_limits<double>::infinity(), 1, 5).marks >= 2);
}

TEST_CASE("a report is one page that asks for nothing, the same bytes each time") {
  const learning::TestFolder folder;
  const StoryLog story;
  const std::string html = story.Html(folder.path());
  CHECK(html == StoryLog().Html(folder.path()));
  CHECK(Unbalanced(html) == "");
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("http:") == std::string::npos);
  CHECK(html.find("https:") == std::string::npos);
  CHECK(html.find("url(") == std::string::npos);
  CHECK(html.find("<strong>Verified</strong>") != std::string::npos);
  CHECK(html.find("default-src 'none'") != std::string::npos);
  // Every id once, and every reference to one.
  for (const std::string attribute : {"aria-labelledby=\"", "href=\"#"}) {
    for (size_t at = html.find(attribute); at != std::string::npos; at = html.find(attribute, at)) {
      at += attribute.size();
      std::string id = html.substr(at, html.find_first_of("\" ", at) - at);
      INFO(id);
      CHECK(Occurrences(html, "id=\"" + id + "\"") == 1);
    }
  }
}

TEST_CASE("a report tells what went wrong, and its money adds up") {
  const learning::TestFolder folder;
  const StoryLog story;
  const std::string html = story.Html(folder.path());
  for (const char* said : {"committed, but not there by the deadline", "too few teachers committed",
                           "its charge was more than earnings and stake",
                           "lost as uncovered, to the treasury", "Of the stakes"}) {
    INFO(said);
    CHECK(html.find(said) != std::string::npos);
  }
  const Replay replay = Replayed(BundleOf(story.world), KeyOf(story.world));
  const Money& money = replay.history.campaigns.at(story.campaign).money;
  CHECK(money.budget == 300'000);
  CHECK(money.staked == 12'000);
  CHECK(money.paid > 0);
  CHECK(money.charged > 0);
  CHECK(money.lost > 0);
  CHECK(money.refunded + money.surplus > 0);
  CHECK(money.budget + money.charged == money.paid + money.shared + money.refunded + money.surplus);
  CHECK(money.staked + money.paid == money.charged + money.lost + money.returned);
}

TEST_CASE("strange names are words, nothing else") {
  const learning::TestFolder folder;
  const StoryLog strange(6, 3, true);
  const StoryLog plain(6, 3);
  const std::string html = strange.Html(folder.path());
  CHECK(Unbalanced(html) == "");
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("&lt;svg onload=alert(1)&gt;&lt;!--") != std::string::npos);
  // As many elements as with plain names.
  CHECK(Occurrences(html, "<") == Occurrences(plain.Html(folder.path()), "<"));
}

TEST_CASE("of many teachers the first and the last are drawn, all are listed") {
  const learning::TestFolder folder;
  const std::string html = StoryLog(60, 2).Html(folder.path());
  CHECK(Unbalanced(html) == "");
  CHECK(Occurrences(html, "class=\"error ") == 36);
  CHECK(html.find("24 teachers in between") != std::string::npos);
  CHECK(Occurrences(html, "<svg class=\"spark\"") == 12);
  const size_t table = html.find("id=\"c", html.find("Teachers: score and error") - 60);
  CHECK(Occurrences(html.substr(table), "<bdi title=\"account ") == 60);
}

TEST_CASE("a running campaign, one without rounds and a log without campaigns have reports") {
  const learning::TestFolder folder;
  SmallLog small(2, 2);
  const auto html = [&] {
    std::ofstream(folder.File("log.bundle"), std::ios::binary) << BundleOf(small.log);
    const Report report = Value(Verify({folder.File("log.bundle"), ""}, KeyOf(small.log)));
    return ReportHtml(report, Value(Summarise(report.replay, {})), FormatVkey(KeyOf(small.log)));
  };
  CHECK(html().find("Nothing has been learnt yet") != std::string::npos);
  CHECK(Unbalanced(html()) == "");
  small.log.RunRound(small.campaign, {{small.teachers[0], {.phi_q32 = testing::kNat / 10}}});
  CHECK(html().find("still held or at stake") != std::string::npos);
  CHECK(Unbalanced(html()) == "");
  LedgerBuilder bare;
  std::ofstream(folder.File("bare"), std::ios::binary) << BundleOf(bare);
  const Report report = Value(Verify({folder.File("bare"), ""}, KeyOf(bare)));
  const std::string empty =
      ReportHtml(report, Value(Summarise(report.replay, {})), FormatVkey(KeyOf(bare)));
  CHECK(empty.find("no campaign yet") != std::string::npos);
  CHECK(Unbalanced(empty) == "");
}

// For report_browser_test.py: CROWDTEACH_REPORTS=DIR test_audit "[.reports]"
TEST_CASE("write reports for a browser", "[.reports]") {
  const char* folder = std::getenv("CROWDTEACH_REPORTS");
  REQUIRE(folder != nullptr);
  const std::map<std::string, StoryLog> stories = [] {
    std::map<std::string, StoryLog> made;
    made.emplace("story", StoryLog());
    made.emplace("strange", StoryLog(6, 4, true));
    made.emplace("many", StoryLog(256, 3));
    made.emplace("long", StoryLog(3, 1000));
    return made;
  }();
  for (const auto& [name, story] : stories) {
    std::ofstream(std::string(folder) + "/" + name + ".html", std::ios::binary)
        << story.Html(folder);
  }
}

}  // namespace
}  // namespace crowdteach::audit
