#include "client/commands/view_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "learning/fixed_point.h"
#include "proto/cli/terminal.h"

namespace crowdteach::client {
namespace {

double Loss(const v1::CampaignView::Point& point) {
  return learning::FromQ32(static_cast<int64_t>(point.loss_q32()));
}

double Accuracy(const v1::CampaignView::Point& point) {
  if (point.validation_count() == 0) return 0;
  return static_cast<double>(point.correct()) / static_cast<double>(point.validation_count());
}

// Losses as bars of one character each, the highest the tallest.
std::string Sparkline(const v1::CampaignView& view) {
  static constexpr std::string_view kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double highest = 0;
  for (const auto& point : view.history()) highest = std::max(highest, Loss(point));
  std::string line;
  for (const auto& point : view.history()) {
    const double share = highest == 0 ? 0 : Loss(point) / highest;
    line += kBars[std::clamp(static_cast<int>(share * 8), 0, 7)];
  }
  return line;
}

// Whom a round waits for. Of an older coordinator nothing is known.
std::string Lacking(const v1::CampaignView& view) {
  if (view.round_phase() != "waiting" || view.ready() >= view.quorum()) return "";
  return fmt::format(", needs {} teachers with cover and has {}", view.quorum(), view.ready());
}

std::string Clock(uint64_t left_ms) {
  return left_ms == 0 ? "" : fmt::format(", {} s left", (left_ms + 999) / 1000);
}

}  // namespace

std::string ViewTable(const v1::CampaignView& view) {
  // The name last: a narrow terminal cuts lines.
  std::string text = fmt::format("campaign {}: {}", view.campaign(), view.phase());
  if (view.phase() == "running") {
    text += fmt::format(", round {} ({}{})", view.round(), view.round_phase(),
                        Clock(view.phase_left_ms()));
    text += Lacking(view);
  }
  text += fmt::format(", {} of {} rounds settled, escrow {} “{}”\n", view.settled_rounds(),
                      view.rounds(), view.escrow(), view.name());
  if (view.history_size() > 0) {
    const auto& last = view.history(view.history_size() - 1);
    text += fmt::format("loss {}  {:.4f} nats, accuracy {:.1f} %\n", Sparkline(view), Loss(last),
                        Accuracy(last) * 100);
  }
  int width = 7;
  for (const auto& teacher : view.teachers()) {
    width = std::clamp(static_cast<int>(teacher.name().size()), width, 24);
  }
  text += fmt::format("{:>7}  {:<{}} {:>8} {:>9} {:>7} {:>7} {:>9}  {}\n", "account", "teacher",
                      width, "examples", "score", "held", "stake", "last", "status");
  for (const auto& teacher : view.teachers()) {
    text += fmt::format("{:>7}  {:<{}} {:>8} {:>+9.5f} {:>7} {:>7} {:>+9.5f}  {}\n",
                        teacher.account(), cli::Fit(teacher.name(), width), width,
                        teacher.examples(), learning::FromQ32(teacher.score_q32()), teacher.held(),
                        teacher.stake(), learning::FromQ32(teacher.last_score_q32()),
                        teacher.connected() ? teacher.status() : teacher.status() + " (away)");
  }
  return text;
}

std::string ViewLine(const v1::CampaignView& view) {
  std::string text = fmt::format("{} round {} {} settled {}/{}", view.phase(), view.round(),
                                 view.round_phase(), view.settled_rounds(), view.rounds());
  text += Lacking(view);
  if (view.history_size() == 0) return text;
  const auto& last = view.history(view.history_size() - 1);
  return text + fmt::format(" loss {:.4f} accuracy {:.4f}", Loss(last), Accuracy(last));
}

std::string ViewJson(const v1::CampaignView& view) {
  nlohmann::ordered_json json = {{"campaign", view.campaign()},
                                 {"name", view.name()},
                                 {"phase", view.phase()},
                                 {"round_phase", view.round_phase()},
                                 {"round", view.round()},
                                 {"settled_rounds", view.settled_rounds()},
                                 {"rounds", view.rounds()},
                                 {"escrow", view.escrow()},
                                 {"log_size", view.log_size()},
                                 {"quorum", view.quorum()},
                                 {"ready", view.ready()},
                                 {"model_digest", view.model_digest()},
                                 {"history", nlohmann::json::array()},
                                 {"teachers", nlohmann::json::array()}};
  for (const auto& point : view.history()) {
    json["history"].push_back(
        {{"round", point.round()}, {"loss_nats", Loss(point)}, {"accuracy", Accuracy(point)}});
  }
  for (const auto& teacher : view.teachers()) {
    json["teachers"].push_back({{"account", teacher.account()},
                                {"name", teacher.name()},
                                {"examples", teacher.examples()},
                                {"connected", teacher.connected()},
                                {"status", teacher.status()},
                                {"score_nats", learning::FromQ32(teacher.score_q32())},
                                {"last_score_nats", learning::FromQ32(teacher.last_score_q32())},
                                {"held_credits", teacher.held()},
                                {"stake_credits", teacher.stake()}});
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace crowdteach::client
