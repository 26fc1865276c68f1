// A report's pictures: inline SVG without script, style or size of its own; report_style.cc has the
// classes. Each has a name for a screen reader, or is hidden from it where words beside it say the
// same. Thread-safety: pure functions; all text in is escaped already.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ledger/audit/report_text.h"

namespace crowdteach::audit {

struct LinePoint {
  uint32_t round = 0;
  double value = 0;
};

struct LineChart {
  std::string id;                 // unique in the page
  std::string title;              // its name
  std::string summary;            // in words: what a reader sees
  std::vector<LinePoint> points;  // by round, at least one
  std::vector<uint32_t> aborted;  // rounds without a point, marked on the axis
  uint32_t last_round = 0;
  double scale = 1;  // of the labels: 100 for percents
  int decimals = 4;  // of the labels of first and last point
  std::string unit;  // after those labels
};
std::string LineChartSvg(const LineChart& chart);

// One small multiple: a line of running sums over all rounds, its zero line, no text.
struct Spark {
  std::vector<LinePoint> points;
  uint32_t last_round = 0;
  Axis axis;  // the same for all beside it
};
std::string SparkSvg(const Spark& spark);

// A value with its interval on a common axis, as wide as the cell it stands in.
std::string IntervalSvg(double value, double error, const Axis& axis);
std::string IntervalAxisSvg(const Axis& axis);

}  // namespace crowdteach::audit
