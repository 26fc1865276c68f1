#include "client/commands/check_data_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "proto/cli/cli.h"

namespace crowdteach::client {
namespace {

constexpr size_t kBarWidth = 30;

// Columns of a terminal, for the scripts that take one a character.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Padded(const std::string& text, size_t width) {
  return text + std::string(width - std::min(width, Width(text)), ' ');
}

std::string ClassTable(const learning::DataSummary& summary, const v1::DataTerms& terms) {
  size_t width = 5;
  for (const std::string& name : terms.classes()) width = std::max(width, Width(name));
  const uint64_t most = *std::max_element(summary.per_class.begin(), summary.per_class.end());
  std::string text = fmt::format("  {}  {:>9}\n", Padded("class", width), "examples");
  for (int c = 0; c < terms.classes_size(); ++c) {
    const uint64_t count = summary.per_class[static_cast<size_t>(c)];
    const auto bar = static_cast<size_t>(static_cast<double>(count) / static_cast<double>(most) *
                                         static_cast<double>(kBarWidth));
    text += fmt::format("  {}  {:>9}  {}\n", Padded(terms.classes(c), width), count,
                        count == 0 ? "none" : std::string(std::max<size_t>(bar, 1), '#'));
  }
  return text;
}

std::string RangeLine(std::string_view name, const learning::ValueRange& range) {
  return fmt::format("  {:<10}  {:>12.5g} {:>12.5g} {:>12.5g} {:>12.5g}\n", name, range.least,
                     range.most, range.mean, range.deviation);
}

std::string Seconds(double ms) {
  return ms < 1000 ? fmt::format("{:.3g} ms", ms) : fmt::format("{:.1f} s", ms / 1000);
}

nlohmann::json Json(const learning::ValueRange& range) {
  return {{"least", range.least},
          {"most", range.most},
          {"mean", range.mean},
          {"deviation", range.deviation}};
}

}  // namespace

std::string SummaryText(const DataReport& report) {
  const v1::DataTerms& terms = report.terms.data();
  std::string text = fmt::format("{}: {} examples of [{}], {}\n\n", report.data,
                                 report.summary->count, fmt::join(terms.input_shape(), ", "),
                                 terms.feature_type() == v1::U8 ? "u8" : "float32");
  text += ClassTable(*report.summary, terms);
  text += fmt::format("\n  {:<10}  {:>12} {:>12} {:>12} {:>12}\n", "values", "least", "most",
                      "mean", "deviation");
  text += RangeLine("raw", report.summary->raw);
  text += RangeLine("normalised", report.summary->normalised);
  if (!report.hints.empty()) text += "\n";
  for (const std::string& hint : report.hints) text += fmt::format("hint: {}\n", hint);
  return text;
}

std::string TrialText(const DataReport& report) {
  const Trial& trial = *report.trial;
  std::string text = fmt::format(
      "\ntraining works: loss {:.4f} nats at first (fresh weights), {} a step; a round of {} steps "
      "takes about {}\n",
      trial.loss_nats, Seconds(trial.step_ms), trial.round_steps, Seconds(trial.round_ms()));
  const uint64_t commit_ms = report.terms.commit_ms();
  if (trial.round_ms() > static_cast<double>(commit_ms) / 2) {
    text += fmt::format(
        "hint: a round must be trained, and its model fetched, within {}; more --threads may "
        "help\n",
        cli::FormatDuration(commit_ms));
  }
  return text;
}

std::string ReportJson(const DataReport& report) {
  nlohmann::json out = {{"ready", report.problem.empty()},
                        {"campaign", report.campaign},
                        {"name", report.terms.name()},
                        {"data", report.data},
                        {"hints", report.hints}};
  if (!report.problem.empty()) out["problem"] = report.problem;
  if (report.summary.has_value()) {
    out["examples"] = report.summary->count;
    out["raw"] = Json(report.summary->raw);
    out["normalised"] = Json(report.summary->normalised);
    for (size_t c = 0; c < report.summary->per_class.size(); ++c) {
      out["classes"].push_back({{"name", report.terms.data().classes(static_cast<int>(c))},
                                {"examples", report.summary->per_class[c]}});
    }
  }
  if (report.trial.has_value()) {
    out["training"] = {{"loss_nats", report.trial->loss_nats},
                       {"step_ms", report.trial->step_ms},
                       {"round_steps", report.trial->round_steps},
                       {"round_ms", report.trial->round_ms()}};
  }
  if (!report.next.empty()) out["next"] = report.next;
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ShellWord(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace crowdteach::client
