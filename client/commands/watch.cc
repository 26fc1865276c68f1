// crowdteach watch: a campaign, live. crowdteach close: settles it.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "client/commands/commands.h"
#include "client/commands/joining.h"
#include "client/commands/patience.h"
#include "client/commands/view_text.h"
#include "proto/base/exit_codes.h"
#include "proto/cli/signals.h"
#include "proto/cli/terminal.h"

namespace crowdteach::client {
namespace {

struct WatchOptions {
  JoinOptions join;
  uint64_t campaign = 0;
  std::string format = "text";
  std::string until;
  bool yes = false;
};

constexpr const char* kPhases[] = {"running", "ended", "closed", "released", "refunded"};

int PhaseRank(std::string_view phase) {
  for (int i = 0; i < 5; ++i) {
    if (phase == kPhases[i]) return i;
  }
  return -1;
}

// The campaign asked for, or the newest.
StatusOr<uint64_t> Choose(uint64_t campaign, Session* session) {
  if (campaign != 0) return campaign;
  CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list, session->ListCampaigns());
  for (const auto& item : list.campaigns()) campaign = std::max(campaign, item.campaign());
  if (campaign == 0) return FromPeer(NotFound("there is no campaign yet"));
  return campaign;
}

// The campaign to close: the one asked for, or the only one that is open. One that has rounds to
// run must be meant.
StatusOr<uint64_t> ChooseToClose(const WatchOptions& options, Session* session) {
  CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list, session->ListCampaigns());
  std::string open;
  uint64_t found = options.campaign;
  int count = 0;
  for (const auto& item : list.campaigns()) {
    if (item.phase() != "running" && item.phase() != "ended") continue;
    open += fmt::format("\n  --campaign {}   {}, {}", item.campaign(), item.name(), item.phase());
    if (options.campaign == 0) found = item.campaign();
    ++count;
  }
  if (options.campaign == 0 && count > 1) {
    return InvalidArgument("several campaigns are open; choose one:{}", open);
  }
  CT_ASSIGN_OR_RETURN(const uint64_t campaign, Choose(found, session));
  for (const auto& item : list.campaigns()) {
    if (item.campaign() != campaign || item.phase() != "running" || options.yes) continue;
    return InvalidArgument(
        "campaign {} is running: closing it now ends it before its last round, for good; pass "
        "--yes "
        "if that is meant",
        campaign);
  }
  return campaign;
}

class Screen {
 public:
  explicit Screen(std::string format) : format_(std::move(format)), terminal_(cli::IsLive()) {}

  void Show(const v1::CampaignView& view) {
    if (format_ == "json") {
      fmt::print("{}\n", ViewJson(view));
    } else if (terminal_) {
      Draw(ViewTable(view));
    } else {
      const std::string line = ViewLine(view);
      if (line != last_line_) fmt::print("{}\n", line);
      last_line_ = line;
    }
    std::fflush(stdout);
  }

 private:
  // Over the table drawn before. Lines are cut to the terminal's width: wrapped ones would be more
  // than are counted.
  void Draw(std::string_view table) {
    std::string text = lines_ > 0 ? fmt::format("\x1b[{}F\x1b[J", lines_) : "";
    lines_ = 0;
    for (size_t begin = 0; begin < table.size(); ++lines_) {
      const size_t end = std::min(table.find('\n', begin), table.size());
      text += cli::Fit(table.substr(begin, end - begin), cli::Columns() - 1) + "\n";
      begin = end + 1;
    }
    cli::Print(text);
  }

  const std::string format_;
  const bool terminal_;
  int lines_ = 0;
  std::string last_line_;
};

Status WatchUntil(Session* session, uint64_t campaign, int until, Screen* screen,
                  const std::stop_token& stop) {
  const std::stop_callback cancel(stop, [session] { session->Cancel(); });
  const Status ended = Patiently(stop, [&] {
    return session->Watch(campaign, [&](const v1::CampaignView& view) {
      screen->Show(view);
      return PhaseRank(view.phase()) < until;
    });
  });
  return stop.stop_requested() ? absl::CancelledError("stopped") : ended;
}

StatusOr<int> RunWatch(const WatchOptions& options) {
  const cli::StopOnSignals signals;
  CT_ASSIGN_OR_RETURN(Joined joined, Join(options.join, v1::ROLE_UNSPECIFIED, Account::kLookOn));
  CT_ASSIGN_OR_RETURN(const uint64_t campaign, Choose(options.campaign, joined.session.get()));
  Screen screen(options.format);
  CT_RETURN_IF_ERROR(WatchUntil(joined.session.get(), campaign,
                                PhaseRank(options.until.empty() ? "refunded" : options.until),
                                &screen, signals.token()));
  return 0;
}

StatusOr<int> RunClose(const WatchOptions& options) {
  const cli::StopOnSignals signals;
  CT_ASSIGN_OR_RETURN(Joined joined, Join(options.join, v1::OWNER, Account::kMustExist));
  CT_ASSIGN_OR_RETURN(const uint64_t campaign, ChooseToClose(options, joined.session.get()));
  CT_ASSIGN_OR_RETURN(const VerifiedEntry open, Patiently(signals.token(), [&] {
                        return joined.session->FindCampaign(campaign);
                      }));
  v1::Intent body;
  body.mutable_campaign_close()->set_campaign(campaign);
  body.mutable_campaign_close()->set_validation_digest(
      open.logged.intent.campaign_open().validation_digest());
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry,
                      Patiently(signals.token(), [&] { return joined.session->Submit(body); }));
  // With JSON, what is said to people goes where the views do not.
  std::FILE* const said = options.format == "json" ? stderr : stdout;
  fmt::print(said, "campaign {} is closed: ledger entry {}; the validation set is revealed\n",
             campaign, entry.logged.entry.index());
  if (options.until.empty()) return 0;
  Screen screen(options.format);
  CT_RETURN_IF_ERROR(WatchUntil(joined.session.get(), campaign, PhaseRank(options.until), &screen,
                                signals.token()));
  CT_ASSIGN_OR_RETURN(const v1::GetAccountReply account,
                      Patiently(signals.token(), [&] { return joined.session->GetAccount(); }));
  fmt::print(said, "account {}: {} credits free\n", account.account(), account.available());
  return 0;
}

CLI::App* AddCommon(CLI::App& app, const std::string& name, const std::string& help,
                    const std::string& which, const std::shared_ptr<WatchOptions>& options) {
  CLI::App* command = app.add_subcommand(name, help);
  AddJoinOptions(command, &options->join);
  command->add_option("--campaign", options->campaign, which);
  command->add_option("--format", options->format, "text or json (one object a line)")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  return command;
}

}  // namespace

void AddWatch(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App* command =
      AddCommon(app, "watch", "Shows a campaign live", "Which one (default: the newest)", options);
  command->add_option("--until", options->until, "Stop at: ended, closed, released or refunded")
      ->check(CLI::IsMember({"ended", "closed", "released", "refunded"}));
  cli::SetExamples(command,
                   "  crowdteach watch\n"
                   "  crowdteach watch --campaign 5 --until ended --format json\n");
  command->callback([options, &action] { action = [options] { return RunWatch(*options); }; });
}

void AddClose(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App* command =
      AddCommon(app, "close", "Settles your campaign: reveals the validation set, refunds",
                "Which one (default: the only one that is open)", options);
  command->add_flag("--yes", options->yes, "Close it although it has rounds to run");
  command->add_option("--until", options->until, "Wait for: closed, released or refunded")
      ->check(CLI::IsMember({"closed", "released", "refunded"}));
  cli::SetExamples(command, "  crowdteach close --campaign 5 --until refunded\n");
  command->callback([options, &action] { action = [options] { return RunClose(*options); }; });
}

}  // namespace crowdteach::client
