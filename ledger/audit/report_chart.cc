#include "ledger/audit/report_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace crowdteach::audit {
namespace {

// Of a line chart, in its own units: about CSS pixels where two stand side by side.
constexpr double kWidth = 344, kHeight = 216;
constexpr double kLeft = 40, kRight = 14, kTop = 18, kBottom = 38;
constexpr double kSparkWidth = 160, kSparkHeight = 56, kSparkEdge = 4;
constexpr size_t kMostDots = 60;
constexpr double kLabelApart = 0.45;  // of the width of a cell

std::string Line(double x1, double y1, double x2, double y2, std::string_view kind) {
  return fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>",
                     kind, x1, y1, x2, y2);
}

std::string Text(double x, double y, std::string_view anchor, std::string_view kind,
                 std::string_view words) {
  return fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>",
                     kind, x, y, anchor, words);
}

struct Plot {
  Axis rounds;
  Axis values;
  uint32_t last_round;

  double X(uint32_t round) const {
    const double share = last_round == 0 ? 0 : static_cast<double>(round) / last_round;
    return kLeft + (kWidth - kLeft - kRight) * share;
  }
  double Y(double value) const {
    return kHeight - kBottom - (kHeight - kTop - kBottom) * values.Place(value);
  }
};

Axis ValueAxis(const std::vector<LinePoint>& points, double scale, int most) {
  double low = points.front().value, high = low;
  for (const LinePoint& point : points) {
    low = std::min(low, point.value);
    high = std::max(high, point.value);
  }
  return MakeAxis(low * scale, high * scale, most);
}

std::string Frame(const Plot& plot, const LineChart& chart) {
  std::string svg;
  for (int i = 0; i < plot.values.marks; ++i) {
    const double y = plot.Y(plot.values.at(i));
    svg += Line(kLeft, y, kWidth - kRight, y, i == 0 ? "axis" : "grid");
    svg += Text(kLeft - 6, y + 4, "end", "soft", plot.values.Label(i));
  }
  for (int i = 0; i < plot.rounds.marks; ++i) {
    const double round = plot.rounds.at(i);
    if (round > plot.last_round || round < 0) continue;
    svg += Text(plot.X(static_cast<uint32_t>(round)), kHeight - kBottom + 16, "middle", "soft",
                plot.rounds.Label(i));
  }
  svg += Text((kLeft + kWidth - kRight) / 2, kHeight - 6, "middle", "soft", "round");
  for (const uint32_t round : chart.aborted) {
    const double x = plot.X(round), y = kHeight - kBottom;
    svg += Line(x - 3, y - 3, x + 3, y + 3, "cross") + Line(x - 3, y + 3, x + 3, y - 3, "cross");
  }
  return svg;
}

// First and last value beside their points; over or under the line, where it does not go.
std::string Labels(const Plot& plot, const LineChart& chart) {
  const auto words = [&](const LinePoint& point) {
    return Fixed(point.value * chart.scale, chart.decimals) + chart.unit;
  };
  const LinePoint& first = chart.points.front();
  const LinePoint& last = chart.points.back();
  const bool falls = last.value < first.value;
  std::string svg;
  if (chart.points.size() > 1) {
    const double y = plot.Y(first.value * chart.scale);
    svg += Text(plot.X(first.round) + 6, falls ? y - 6 : y + 14, "start", "mark", words(first));
  }
  const double x = plot.X(last.round), y = plot.Y(last.value * chart.scale);
  svg += fmt::format("<circle class=\"end\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", x, y);
  // Where the line does not come from, unless the axis is there.
  const bool under = falls && y + 24 < kHeight - kBottom;
  return svg + Text(std::min(x, kWidth - kRight), under ? y + 18 : y - 9, "end", "mark strong",
                    words(last));
}

}  // namespace

std::string LineChartSvg(const LineChart& chart) {
  const double last_round = std::max<double>(chart.last_round, 1);
  Plot plot{MakeAxis(0, last_round, 6), ValueAxis(chart.points, chart.scale, 6),
            std::max<uint32_t>(chart.last_round, 1)};
  if (plot.rounds.step < 1) plot.rounds = {0, 1, 2, 0};
  std::string svg = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-labelledby=\"{}-t\" "
      "aria-describedby=\"{}-d\">"
      "<title id=\"{}-t\">{}</title><desc id=\"{}-d\">{}</desc>",
      kWidth, kHeight, chart.id, chart.id, chart.id, chart.title, chart.id, chart.summary);
  svg += Frame(plot, chart);
  svg += "<polyline class=\"line\" points=\"";
  for (const LinePoint& point : chart.points) {
    svg += fmt::format("{:.1f},{:.1f} ", plot.X(point.round), plot.Y(point.value * chart.scale));
  }
  svg.back() = '"';
  svg += "/>";
  if (chart.points.size() <= kMostDots) {
    for (const LinePoint& point : chart.points) {
      svg += fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"/>",
                         plot.X(point.round), plot.Y(point.value * chart.scale));
    }
  }
  return svg + Labels(plot, chart) + "</svg>";
}

std::string SparkSvg(const Spark& spark) {
  const double last = std::max<double>(spark.last_round, 1);
  const auto x = [&](uint32_t round) {
    return kSparkEdge + (kSparkWidth - 2 * kSparkEdge) * round / last;
  };
  const auto y = [&](double value) {
    return kSparkHeight - kSparkEdge - (kSparkHeight - 2 * kSparkEdge) * spark.axis.Place(value);
  };
  std::string svg = fmt::format(
      "<svg class=\"spark\" viewBox=\"0 0 {:g} {:g}\" aria-hidden=\"true\" focusable=\"false\">",
      kSparkWidth, kSparkHeight);
  svg += Line(kSparkEdge, y(0), kSparkWidth - kSparkEdge, y(0), "axis");
  const double final = spark.points.empty() ? 0 : spark.points.back().value;
  const std::string_view kind = final < 0 ? "loss" : "gain";
  // A step a round: credits do not trickle in between.
  svg += fmt::format("<polyline class=\"line {}\" points=\"{:.1f},{:.1f}", kind, x(0), y(0));
  double before = 0;
  for (const LinePoint& point : spark.points) {
    if (point.value == before) continue;
    svg += fmt::format(" {:.1f},{:.1f} {:.1f},{:.1f}", x(point.round), y(before), x(point.round),
                       y(point.value));
    before = point.value;
  }
  svg += fmt::format(" {:.1f},{:.1f}\"/>", x(spark.last_round), y(final));
  svg += fmt::format("<circle class=\"dot {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>", kind,
                     x(spark.last_round), y(final));
  return svg + "</svg>";
}

std::string IntervalSvg(double value, double error, const Axis& axis) {
  const auto at = [&](double v) { return std::clamp(axis.Place(v), 0.0, 1.0) * 100; };
  std::string svg = "<svg class=\"interval\" aria-hidden=\"true\" focusable=\"false\">";
  for (int i = 0; i < axis.marks; ++i) {
    const double x = at(axis.at(i));
    svg += fmt::format("<line class=\"{}\" x1=\"{:.2f}%\" x2=\"{:.2f}%\" y1=\"0\" y2=\"24\"/>",
                       axis.Label(i).find_first_not_of("0.") == std::string::npos ? "axis" : "grid",
                       x, x);
  }
  const std::string_view kind = value < 0 ? "loss" : "gain";
  svg += fmt::format("<line class=\"error {}\" x1=\"{:.2f}%\" x2=\"{:.2f}%\" y1=\"12\" y2=\"12\"/>",
                     kind, at(value - error), at(value + error));
  // Ends that show beside the mark, however short the line is.
  for (const double end : {value - error, value + error}) {
    if (error <= 0) break;
    svg += fmt::format("<line class=\"cap {}\" x1=\"{:.2f}%\" x2=\"{:.2f}%\" y1=\"7\" y2=\"17\"/>",
                       kind, at(end), at(end));
  }
  // Round for a gain, square for a loss: not by colour alone.
  svg += value < 0 ? fmt::format(
                         "<rect class=\"dot loss\" x=\"{:.2f}%\" y=\"9\" width=\"6\" "
                         "height=\"6\" transform=\"translate(-3)\"/>",
                         at(value))
                   : fmt::format("<circle class=\"dot gain\" cx=\"{:.2f}%\" cy=\"12\" r=\"3.4\"/>",
                                 at(value));
  return svg + "</svg>";
}

std::string IntervalAxisSvg(const Axis& axis) {
  std::string svg = "<svg class=\"interval\" aria-hidden=\"true\" focusable=\"false\">";
  // Zero, and an end that is far enough from it: the cell may be narrow.
  const double zero = axis.Place(0);
  for (int i = 0; i < axis.marks; ++i) {
    const double place = axis.Place(axis.at(i));
    const bool is_zero = std::fabs(place - zero) < 1e-6;
    const bool is_end = i == 0 || i + 1 == axis.marks;
    if (!is_zero && (!is_end || std::fabs(place - zero) < kLabelApart)) continue;
    const std::string_view anchor = i == 0 ? "start" : i + 1 == axis.marks ? "end" : "middle";
    svg += fmt::format("<text class=\"soft\" x=\"{:.2f}%\" y=\"16\" text-anchor=\"{}\">{}</text>",
                       place * 100, anchor, is_zero ? "0" : axis.Label(i));
  }
  return svg + "</svg>";
}

}  // namespace crowdteach::audit
