// crowdteach-audit as it is called: exit codes and what it says.
#include "ledger/audit/commands.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "proto/base/exit_codes.h"
#include "tests/support/catch.h"
#include "tests/unit/audit/audit_world.h"

namespace crowdteach::audit {
namespace {

struct Outcome {
  int code = 0;
  std::string out;
  std::string error;
};

// Sends what is written to `descriptor` into a file while it lives.
class Capture {
 public:
  Capture(int descriptor, const std::string& path)
      : descriptor_(descriptor), kept_(dup(descriptor)) {
    std::fflush(nullptr);
    std::FILE* file = std::fopen(path.c_str(), "w");
    REQUIRE(file != nullptr);
    dup2(fileno(file), descriptor_);
    std::fclose(file);
  }
  ~Capture() {
    std::fflush(nullptr);
    dup2(kept_, descriptor_);
    close(kept_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

 private:
  int descriptor_;
  int kept_;
};

Outcome Run(std::vector<std::string> words) {
  learning::TestFolder folder;
  CLI::App app("For tests", "crowdteach-audit");
  cli::Action action;
  AddVerify(app, action);
  AddShow(app, action);
  AddReport(app, action);
  AddReceipt(app, action);
  words.insert(words.begin(), "crowdteach-audit");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  Outcome outcome;
  {
    const Capture out(STDOUT_FILENO, folder.File("out"));
    const Capture error(STDERR_FILENO, folder.File("error"));
    outcome.code = cli::Main(app, action, static_cast<int>(argv.size()), argv.data());
    std::cout.flush();
    std::cerr.flush();
  }
  outcome.out = learning::ReadBytes(folder.File("out"));
  outcome.error = learning::ReadBytes(folder.File("error"));
  return outcome;
}

// Evidence in a folder, each command line on it, and what must come of that.
struct Desk {
  SmallLog small{2, 2};
  learning::TestFolder folder;
  std::string key;
  uint64_t second = 0;  // campaign

  Desk() {
    LedgerBuilder& log = small.log;
    log.RunRound(small.campaign, {{small.teachers[0], {.phi_q32 = testing::kNat / 10}}});
    v1::CampaignOpen open = testing::SmallCampaign();
    open.mutable_terms()->set_name("another");
    log.Issue(small.owner, open.terms().budget());
    second = log.OpenCampaign(small.owner, open);
    key = log.state.genesis().log_vkey();
    Write("log.bundle", BundleOf(log));
  }
  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder.File(name), std::ios::binary) << bytes;
  }
  Outcome Ask(const std::string& command, const std::string& evidence,
              std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {command, folder.File(evidence), "--key", key};
    words.insert(words.end(), more.begin(), more.end());
    return Run(std::move(words));
  }
};

TEST_CASE("each wrong command line, file or bundle has its exit code and says why") {
  const Desk desk;
  const std::string good = BundleOf(desk.small.log);
  desk.Write("cut", good.substr(0, good.size() / 2));
  desk.Write("text", "hello\n");
  desk.Write("nothing", "");
  std::filesystem::create_directory(desk.folder.File("bare"));
  std::filesystem::create_directories(desk.folder.File("odd/log.bundle"));
  struct Case {
    std::string evidence;
    std::vector<std::string> more;
    int code;
    std::string says;
  };
  const std::vector<Case> both = {
      {"absent", {}, kExitIo, "there is no such file; give a bundle"},
      {"bare", {}, kExitIo, "bare/log.bundle: there is no such file"},
      {"odd", {}, kExitIo, "odd/log.bundle: Is a directory"},
      {"cut", {}, kExitDisproved, "the file ends inside it: was it cut short?"},
      {"text", {}, kExitDisproved, "it is not a bundle"},
      {"nothing", {}, kExitDisproved, "it is not a bundle"},
      {"log.bundle", {"--format", "xml"}, kExitUsage, "xml not in"},
      {"log.bundle", {"--key", desk.key}, kExitUsage, "--key"},  // given twice
      {"log.bundle", {"--colour"}, kExitUsage, "--colour"},
  };
  for (const std::string command : {"verify", "show"}) {
    for (const Case& one : both) {
      INFO(command << " " << one.evidence);
      const Outcome outcome = desk.Ask(command, one.evidence, one.more);
      INFO(outcome.out << outcome.error);
      CHECK(outcome.code == one.code);
      CHECK((outcome.out + outcome.error).find(one.says) != std::string::npos);
    }
    const Outcome no_key = Run({command, desk.folder.File("log.bundle")});
    CHECK(no_key.code == kExitUsage);
    CHECK(no_key.error.find("--key is missing") != std::string::npos);
    const Outcome bad_key =
        Run({command, desk.folder.File("log.bundle"), "--key", desk.folder.File("text")});
    CHECK(bad_key.code == kExitUsage);
    CHECK(bad_key.error.find("--key " + desk.folder.File("text")) != std::string::npos);
  }
  const std::vector<Case> filters = {
      {"log.bundle",
       {"--campaign", "99"},
       kExitUsage,
       "this log has no campaign 99; campaigns are"},
      {"log.bundle", {"--teacher", "eve"}, kExitUsage, "called or numbered \"eve\"; teachers are"},
      {"log.bundle", {"--round", "7"}, kExitUsage, "there is no round 7; the last one is 1"},
      {"log.bundle", {"--round", "-1"}, kExitUsage, "--round"},
      {"log.bundle",
       {"--campaign", fmt::format("{}", desk.second), "--round", "1"},
       kExitUsage,
       "there is no round 1; the last one is 0"},
  };
  for (const Case& one : filters) {
    const Outcome outcome = desk.Ask("show", one.evidence, one.more);
    INFO(outcome.error);
    CHECK(outcome.code == one.code);
    CHECK(outcome.error.find(one.says) != std::string::npos);
    CHECK(outcome.out.empty());
  }
  const Outcome away = desk.Ask("verify", "log.bundle", {"--artifacts", desk.folder.File("away")});
  CHECK(away.code == kExitIo);
  CHECK(away.error.find("there is no such folder of artifacts") != std::string::npos);
}

TEST_CASE("show lists every campaign, or the one asked for") {
  const Desk desk;
  const auto names = [](const Outcome& outcome) {
    REQUIRE(outcome.code == kExitOk);
    std::vector<std::string> found;
    const auto json = nlohmann::json::parse(outcome.out);
    for (const auto& campaign : json["campaigns"]) found.push_back(campaign["name"]);
    return found;
  };
  CHECK(names(desk.Ask("show", "log.bundle", {"--format", "json"})) ==
        std::vector<std::string>{"small", "another"});
  CHECK(names(desk.Ask("show", "",
                       {"--format", "json", "--campaign", fmt::format("{}", desk.second)})) ==
        std::vector<std::string>{"another"});
  CHECK(names(desk.Ask(
            "show", "",
            {"--format", "json", "--teacher", fmt::format("{}", desk.small.teachers[0])})) ==
        std::vector<std::string>{"small"});
  const Outcome table = desk.Ask("show", "");
  CHECK(table.out.find("\"another\" of") != std::string::npos);
}

TEST_CASE("verify is 0 for what a bundle or an export holds, 7 for artifacts that were asked for") {
  const Desk desk;
  CHECK(desk.Ask("verify", "log.bundle").code == kExitOk);
  CHECK(desk.Ask("verify", "").code == kExitOk);  // an export without artifacts
  std::filesystem::create_directory(desk.folder.File("artifacts"));
  const Outcome asked = desk.Ask("verify", "");
  CHECK(asked.code == kExitIncomplete);
  CHECK(asked.out.find("MISSING: ") != std::string::npos);
  CHECK(asked.out.ends_with("audit: incomplete: what could be checked verifies\n"));
  CHECK(desk.Ask("verify", "log.bundle").code == kExitOk);
}

TEST_CASE("a report is written of what verifies, and nothing of what does not") {
  const Desk desk;
  const std::string page = desk.folder.File("report.html");
  const std::string good = BundleOf(desk.small.log);
  std::string bad = good;
  bad[bad.size() / 2] ^= 1;
  desk.Write("bad", bad);
  const Outcome refused = desk.Ask("report", "bad", {"-o", page});
  CHECK(refused.code == kExitDisproved);
  CHECK(refused.error.find("no report is written") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(page));
  CHECK(desk.Ask("report", "log.bundle", {"-o", page}).code == kExitOk);
  CHECK(learning::ReadBytes(page).find("<strong>Verified</strong>") != std::string::npos);
  // What is there stays when the next does not verify.
  CHECK(desk.Ask("report", "bad", {"-o", page}).code == kExitDisproved);
  CHECK(std::filesystem::exists(page));
  std::filesystem::create_directory(desk.folder.File("artifacts"));
  CHECK(desk.Ask("report", "", {"-o", page}).code == kExitIncomplete);
  CHECK(learning::ReadBytes(page).find("<strong>Verified in part</strong>") != std::string::npos);
  CHECK(desk.Ask("report", "log.bundle", {"-o", page, "--campaign", "99"}).code == kExitUsage);
  CHECK(desk.Ask("report", "log.bundle", {"-o", desk.folder.File("no/where")}).code == kExitIo);
}

TEST_CASE("the key may be in an invite") {
  const Desk desk;
  desk.Write("auditor.invite", "# An invite.\nversion = 1\nlog_vkey = \"" + desk.key + "\"\n");
  desk.Write("other.invite", "version = 1\nlog_vkey = \"nonsense\"\n");
  CHECK(Run({"verify", desk.folder.File("log.bundle"), "--key", desk.folder.File("auditor.invite")})
            .code == kExitOk);
  CHECK(Run({"verify", desk.folder.File("log.bundle"), "--key", desk.folder.File("other.invite")})
            .code == kExitUsage);
}

TEST_CASE("an empty log verifies, and shows that it is empty") {
  const Desk desk;
  desk.Write("empty", BundleOf(0, {}, NoteOf(desk.small.log, {})));
  const Outcome verified = desk.Ask("verify", "empty");
  INFO(verified.out << verified.error);
  CHECK(verified.code == kExitOk);
  CHECK(verified.out.find("not checked") == std::string::npos);
  CHECK(desk.Ask("show", "empty").out == "the log is empty\n");
  const Outcome filtered = desk.Ask("show", "empty", {"--campaign", "1"});
  CHECK(filtered.code == kExitUsage);
  CHECK(filtered.error.find("this log has no campaign yet") != std::string::npos);
}

}  // namespace
}  // namespace crowdteach::audit
